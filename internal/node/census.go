package node

import (
	"context"
	"time"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// A Report is what a member says of itself to the one that leads.
type Report struct {
	// Level is the newest format that its program knows; 0 says that it did not answer.
	Level uint32
	// Lease is how long a member's lease must be for its beats to keep it.
	Lease lock.Duration
	// Hash is that of its table at the mark that was asked about, if Marked: it may not
	// have come there yet, or have forgotten it.
	Marked bool
	Hash   lock.Hash
}

// A PeerReport is the report of another member.
type PeerReport struct {
	Report
	Member string
	// Votes is false for a member that is sent everything but does not count yet.
	Votes bool
}

// comparing is the format level from which on members compare their tables.
const comparing = 2

// Report returns what this member says of itself, with the hash of its table at a mark.
func (n *Node) Report(entry uint64) Report {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := Report{Level: n.cfg.Level, Lease: n.cfg.Settings.WithDefaults().MemberLease}
	r.Hash, r.Marked = n.marks.at(entry)
	return r
}

// Agreed returns the format that the members have agreed on, and the newest entry at which
// a majority is known to have had the same table as this member; 0 if there was none in
// this life.
func (n *Node) Agreed() (format uint32, entry uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.table.Settings().Format, n.marks.agreed
}

// holdCensus asks all members from time to time what they know and have, while the lead
// lasts. What they agree on goes into the order. It begins at once, and asks more often
// until all have answered: what they have not agreed on yet does not count.
func (n *Node) holdCensus(lead context.Context) {
	if n.cfg.Peers == nil {
		return
	}
	const hurry = 10
	due, soon := time.NewTicker(n.cfg.CensusEvery), time.NewTicker(n.cfg.CensusEvery/hurry)
	defer due.Stop()
	defer soon.Stop()
	for compares, split := false, false; ; {
		agreed, differ := n.census(lead, compares && !split)
		again := soon.C
		if agreed {
			again = nil
		}
		split = split || differ
		select {
		case <-due.C:
			compares = true
		case <-again:
			compares = false
		case <-lead.Done():
			return
		case <-n.ctx.Done():
			return
		}
	}
}

// census asks all members once, and reports whether they agree. If it compares their tables,
// it also does what compare does.
func (n *Node) census(lead context.Context, compares bool) (agreed, split bool) {
	n.mu.Lock()
	newest, changed, level := n.marks.newest(), n.marks.changed, n.table.Settings().Format
	n.mu.Unlock()
	reports := n.cfg.Peers(lead, newest.entry)
	agreed = n.agree(lead, reports)
	if compares && level >= comparing && (changed || newest.fresh) {
		split = n.compare(lead, newest.entry, reports)
	}
	return agreed, split
}

// agree agrees on what depends on all members: the format that all of them know, and a lease
// that all of them can keep. While one of them is silent nothing is changed. It reports
// whether all have agreed.
func (n *Node) agree(lead context.Context, reports []PeerReport) bool {
	own := n.Report(0)
	level, lease := own.Level, own.Lease
	for _, r := range reports {
		if r.Level == 0 {
			return false
		}
		level, lease = min(level, r.Level), max(lease, r.Lease)
	}
	now := n.settings()
	next := now
	next.Format, next.MemberLease = max(now.Format, level), lease
	if now.Format < lock.LimitsFormat && next.Format >= lock.LimitsFormat {
		next.MaxWaiters, next.MaxBytes = n.cfg.Settings.MaxWaiters, n.cfg.Settings.MaxBytes
		next = next.WithDefaults()
	}
	if next == now {
		return true
	}
	if o, err := n.ask(lead, &lock.SetSettings{Settings: next}); err != nil || o.Code != lock.OK {
		n.log.WarnContext(lead, "What the members agree on could not be settled", "code", o.Code, "err", err)
		return false
	}
	n.log.InfoContext(lead, "The members have agreed", "format_level", next.Format, "member_lease", timeOf(next.MemberLease).String())
	return true
}

// compare puts the next mark into the order, with what most members had at the newest
// one. It returns true if that will never be known, because too many differ: then nobody
// can tell who is right, and nothing is granted any more.
func (n *Node) compare(lead context.Context, entry uint64, reports []PeerReport) (split bool) {
	next := &lock.Mark{}
	if entry != 0 {
		verdict, agreed := n.count(entry, reports)
		switch verdict {
		case undecided:
			return false
		case disagreed:
			n.log.ErrorContext(lead, "The tables of the members differ, and no majority has the same: nothing is granted any more. "+
				"End all members, keep their data directories for a report, and go on with one of them by ldlm cluster recover", "entry", entry)
			if err := n.StopGranting(lead); err != nil {
				n.log.ErrorContext(lead, "It could not be stopped that locks are granted: end all members", "err", err)
			}
			return true
		case decided:
			next.Of, next.Agreed = entry, agreed
		}
	}
	if _, err := n.ask(lead, next); err != nil {
		n.log.DebugContext(lead, "No mark was set", "err", err)
	}
	return false
}

// What a count comes to.
type verdict int

const (
	undecided verdict = iota
	decided
	disagreed
)

// count counts which hash a majority of the members with a vote had at a mark.
func (n *Node) count(entry uint64, reports []PeerReport) (verdict, lock.Hash) {
	voters, silent := 1, 0
	votes := map[lock.Hash]int{}
	if own := n.Report(entry); own.Marked {
		votes[own.Hash]++
	} else {
		silent++
	}
	for _, r := range reports {
		switch {
		case !r.Votes:
			continue
		case r.Marked:
			votes[r.Hash]++
		default:
			silent++
		}
		voters++
	}
	most := 0
	for hash, count := range votes { // at most one has a majority, whatever the order
		if 2*count > voters {
			return decided, hash
		}
		most = max(most, count)
	}
	if 2*(most+silent) > voters {
		return undecided, lock.Hash{}
	}
	return disagreed, lock.Hash{}
}
