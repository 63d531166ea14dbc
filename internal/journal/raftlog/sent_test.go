package raftlog

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
)

// An operator sees in both logs that a member that was far behind got a snapshot, and which. One
// that starts from a snapshot of its own says nothing of that.
func TestSentSnapshotIsInBothLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, "a", "b", "c")
		logs := map[string]*bytes.Buffer{} // of each member's present life
		c.complete = func(cfg *Config) {
			logs[cfg.Member] = &bytes.Buffer{}
			cfg.Logger = logOf(logs[cfg.Member])
		}
		for _, name := range c.names {
			c.open(name)
		}
		lead, j, _ := c.leader("")
		lag := c.other(lead)
		c.isolate(lag)
		for i := range 50 {
			if err := j.Propose(t.Context(), line(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		dropAll(t, j)
		c.heal(lag)
		c.settled(50)

		first := logs[lag]
		c.restart(lag)
		c.settled(50)
		c.close()

		taken, sent := snapshotLines(first), snapshotLines(logs[lead])
		if len(taken) != 1 || len(sent) != 1 || taken[0].what != sent[0].what {
			t.Errorf("one snapshot was sent and taken over: the member that leads says %q, the other one %q", sent, taken)
		}
		if again := snapshotLines(logs[lag]); len(again) > 0 {
			t.Errorf("a member that was started again says %q", again)
		}
		for _, own := range [][]snapshotLine{taken, sent} {
			if slices.ContainsFunc(own, func(l snapshotLine) bool { return l.member != "" && l.member != lag }) {
				t.Errorf("it was sent to %s: %q", lag, own)
			}
		}
	})
}

// snapshotLine is a line about a snapshot that went from one member to another.
type snapshotLine struct{ member, what string }

func snapshotLines(log *bytes.Buffer) (lines []snapshotLine) {
	form := regexp.MustCompile(`level=INFO msg="[^"]*(?:taken over|taken it over)"(?: member=(\w+))? (entry=[1-9]\d* bytes=[1-9]\d*) took=\S+`)
	for _, m := range form.FindAllStringSubmatch(log.String(), -1) {
		lines = append(lines, snapshotLine{m[1], m[2]})
	}
	return lines
}
