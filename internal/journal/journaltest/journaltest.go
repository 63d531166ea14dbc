// Package journaltest is the conformance suite for engines behind the contract
// of package journal: [Run] proves an engine against every sentence of it.
//
// The suite brings a machine of its own that remembers everything it was given
// and judges the engine by it. It knows nothing of locks, and of an engine only
// what [Engine] tells.
package journaltest

import (
	"errors"
	"testing"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// Engine is how the suite opens the journals that it judges.
type Engine struct {
	// Open opens a journal that drives m and keeps what it keeps in dir. Opened
	// over the same dir again, it goes on where the journal before it ended.
	Open func(dir string, m journal.Machine) (journal.Journal, error)

	// Forgets declares that nothing outlives a journal: there is nothing to
	// test about crashes. An engine that does not forget needs Crash and Snapshot.
	Forgets bool
	// Crash ends j as kill -9 would: nothing more is written, and what was
	// under way stays as it is. It returns when nothing of j runs any more.
	Crash func(j journal.Journal)
	// Snapshot makes j take a snapshot of its machine now, and drop the entries
	// that the snapshot covers.
	Snapshot func(j journal.Journal) error
}

// Run runs the whole suite.
func Run(t *testing.T, e Engine) {
	if !e.Forgets && (e.Crash == nil || e.Snapshot == nil) {
		t.Fatal("journaltest: an engine that does not declare Forgets needs Crash and Snapshot")
	}
	for _, c := range allCases {
		t.Run(c.name, func(t *testing.T) {
			if c.durable && e.Forgets {
				t.Skip("the engine declares that it forgets")
			}
			if err := c.judge(e, t.TempDir()); err != nil {
				t.Error(err)
			}
		})
	}
}

// testCase is one question to an engine. It returns what is wrong, so that the
// suite itself can be tested with engines that are wrong.
type testCase struct {
	name    string
	durable bool
	run     func(p *probe) error
}

var allCases = []testCase{
	{name: "order", run: inOrder},
	{name: "concurrent proposals", run: concurrent},
	{name: "ended context is refused", run: endedContext},
	{name: "context that ends meanwhile", run: endingContext},
	{name: "lead", run: leads},
	{name: "barrier", run: barrier},
	{name: "close waits", run: closeWaits},
	{name: "closed journal refuses", run: closedRefuses},
	{name: "close under load", run: closeUnderLoad},
	{name: "reopen", durable: true, run: reopen},
	{name: "crash", durable: true, run: crash},
	{name: "crash under load", durable: true, run: crashUnderLoad},
	{name: "snapshot", durable: true, run: snapshot},
	{name: "snapshot under load", durable: true, run: snapshotUnderLoad},
}

// judge runs one case and adds what the machine and the ledger of proposals found.
func (c *testCase) judge(e Engine, dir string) error {
	p := &probe{engine: e, dir: dir}
	if err := p.open(); err != nil {
		return err
	}
	err := c.run(p)
	return errors.Join(err, p.machine.verdict(), p.settle())
}
