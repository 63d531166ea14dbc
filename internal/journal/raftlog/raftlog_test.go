package raftlog

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/journal/journaltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// errCrash is why a journal writes nothing any more that a test has crashed.
var errCrash = errors.New("crashed by a test")

// crash ends a journal as kill -9 would: nothing more reaches the files.
func (j *Journal) crash() {
	j.disk.fail(errCrash)
	_ = j.Close() // it says that the journal has failed
}

// small is a configuration with small files, so that they change often.
func small(dir string) Config {
	return Config{Dir: dir, SegmentBytes: 8 << 10, TrailingEntries: 4, RefuseFreeBytes: 1}
}

func TestConformance(t *testing.T) {
	journaltest.Run(t, journaltest.Engine{
		Open: func(dir string, m journal.Machine) (journal.Journal, error) {
			j, err := Open(small(dir), m)
			if err != nil {
				t.Errorf("open: %v", err) // the suite does not come to say it
			}
			return j, err
		},
		Crash:    func(j journal.Journal) { j.(*Journal).crash() },
		Snapshot: func(j journal.Journal) error { return j.(*Journal).Snapshot(context.Background()) },
	})
}
