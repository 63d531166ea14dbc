package raftlog

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// reader is a machine that cannot read the snapshots that are there.
type reader struct {
	tape
	err error
}

func (r *reader) Restore(func() ([]byte, error)) error { return r.err }

// A snapshot that cannot be read keeps a server from its start, and the reason is said, not only
// that there is no other one: a newer version has written it, and is to be started.
func TestUnreadSnapshot(t *testing.T) {
	c := small(fastDir(t))
	if _, err := life(c, texts(10)); err != nil {
		t.Fatal(err)
	}
	newer := fmt.Errorf("%w: it is in format 9", journal.ErrNewer)
	for want, cause := range map[string]error{
		"in a version as new as theirs": newer, "what is this": errors.New("what is this"),
	} {
		j, err := Open(c, &reader{err: cause})
		if err == nil {
			t.Errorf("it starts, and cannot read the snapshot: %v", cause)
			mustClose(t, j)
			continue
		}
		if !errors.Is(err, cause) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), c.Dir) {
			t.Errorf("%v: it says %v", cause, err)
		}
	}
	mustClose(t, mustBegin(t, c, &tape{}))
}
