package node

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/journal/memory"
)

// However many find out that the journal has failed, it is said once.
func TestFailedJournalIsSaidOnce(t *testing.T) {
	var said bytes.Buffer
	n, err := Open(Config{Logger: slog.New(slog.NewTextHandler(&said, nil))}, memory.Open)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { n.broken(journal.ErrFatal) })
	}
	all.Wait()
	_ = n.Close() // it says that the journal has failed
	if got := strings.Count(said.String(), "the journal has failed"); got != 1 {
		t.Errorf("said %d times:\n%s", got, &said)
	}
}
