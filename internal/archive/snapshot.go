package archive

import (
	"fmt"
	"io"
	"time"

	"github.com/ldlm-io/ldlm/internal/document"
	"github.com/ldlm-io/ldlm/internal/journal/raftlog"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// A Snapshot is what was read from the file of one.
type Snapshot struct {
	info  raftlog.SnapshotInfo
	table *lock.Table
}

// Read reads the file of a snapshot to its end, and makes sure that it is whole and
// contradicts nowhere. It takes as much memory as the server that it is of.
func Read(r io.Reader) (*Snapshot, error) {
	info, next, err := raftlog.ReadSnapshot(r)
	if err != nil {
		return nil, err
	}
	t, err := readTable(next)
	if err != nil {
		return nil, err
	}
	return &Snapshot{info, t}, nil
}

// Verify reads the file of a snapshot to its end and makes sure that it arrived as
// it was written. It takes little memory, and does not look at what it says.
func Verify(r io.Reader) error {
	_, next, err := raftlog.ReadSnapshot(r)
	for err == nil {
		var chunk []byte
		if chunk, err = next(); chunk == nil {
			break
		}
	}
	return err
}

// Document says what is in it.
func (s *Snapshot) Document() document.Snapshot {
	d := document.Snapshot{
		Cluster: s.info.Cluster, Created: document.Time(s.info.Created), Members: []string{},
		Entry: document.NumberOf(s.info.Entry), Term: document.NumberOf(s.info.Term),
		Token: document.NumberOf(uint64(s.table.Token())), Counts: countsOf(s.table), OutsideSessions: outsideHolds(s.table),
	}
	for _, m := range s.info.Members {
		d.Members = append(d.Members, m.Member)
	}
	if left := s.table.QuietLeft(); left > 0 {
		d.Quiet, d.QuietMS = document.Span(inGo(left))
	}
	return d
}

// Words are the state in it in words, a line each. Keys are shortened.
func (s *Snapshot) Words() string { return s.table.Describe() }

// A Target is the directory that something is restored or imported into.
type Target struct {
	// Dir is new or empty. Needed.
	Dir string
	// Member is the name of the member that is to use it. Default: that of a
	// server that is alone.
	Member string
}

func (t Target) config() raftlog.Config { return raftlog.Config{Dir: t.Dir, Member: t.Member} }

// Restore makes a data directory of the snapshot, of a cluster of its own with one
// member.
//
// Between the snapshot and now others may have been granted what was free in it, and
// believe in it. So nothing is granted in the new directory until the sessions of
// that time are over: for the longest ttl that the snapshot allows and the lease of
// a member, or for quiet if that is longer, counted on the table's clock, which
// stands still while no server runs. Tokens go on above the wall clock, and so above
// all that were given out since.
func (s *Snapshot) Restore(to Target, quiet time.Duration) (document.Restored, error) {
	settings := s.table.Settings()
	needed := settings.MaxTTL + settings.MemberLease
	if err := born(s.table, max(needed, inTable(quiet))); err != nil {
		return document.Restored{}, err
	}
	d := document.Restored{
		Directory: to.Dir, Snapshot: s.Document(), MayOutlast: outsideHolds(s.table), LongSessions: s.longSessions(),
	}
	d.Quiet, d.QuietMS = document.Span(inGo(s.table.QuietLeft()))
	if err := raftlog.Restore(to.config(), s.info, chunksOf(s.table)); err != nil {
		return document.Restored{}, fmt.Errorf("restore into %s: %w", to.Dir, err)
	}
	return d, nil
}

// longSessions counts the sessions that outlive the quiet time without a sign of
// life: those that live by their clients' calls may have such a ttl.
func (s *Snapshot) longSessions() int {
	const page = 1000
	n := 0
	for after := uint64(0); ; {
		views, next := s.table.ListSessions(after, page)
		for i := range views {
			if views[i].TTL > s.table.QuietLeft() {
				n++
			}
		}
		if after = next; next == 0 {
			return n
		}
	}
}
