package archive

import (
	"fmt"
	"io"
	"time"

	"github.com/ldlm-io/ldlm/internal/document"
	"github.com/ldlm-io/ldlm/internal/journal/raftlog"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// A Part is something that a data directory has in it: a document, and the same in
// words, one or more lines.
type Part struct {
	Document any
	Words    func() string
}

// Dump goes through the data directory of a server that does not run, and tells
// what is in it, part by part: whose it is, the newest snapshot, each entry of the
// log, and the state that comes of all that. It changes nothing. Keys are shortened,
// and what proves who a client is is left out.
//
// Damage is an error that names file and offset; what comes before it in the same
// file was told.
func Dump(dir string, tell func(Part) error) error {
	r := &reading{tell: tell}
	if err := r.read(dir); err != nil {
		return err
	}
	return r.tellState()
}

// Save writes a snapshot of the data directory of a server that does not run: of
// all that is in it, the log included. It returns the names of the members that the
// directory knows of: if they are several, the end of the log may be what a majority
// never took, and was acknowledged to nobody.
func Save(dir string, w io.Writer) (members []string, err error) {
	r := &reading{tell: func(Part) error { return nil }}
	if err := r.read(dir); err != nil {
		return nil, err
	}
	for _, m := range r.info.Members {
		members = append(members, m.Member)
	}
	r.info.Created = time.Now().UTC().Truncate(time.Second)
	return members, raftlog.WriteSnapshot(w, r.info, chunksOf(r.table))
}

// reading goes through a directory and carries out its log.
type reading struct {
	tell  func(Part) error
	info  raftlog.SnapshotInfo // of all that was read so far
	table *lock.Table
	saved uint64 // the newest entry in the snapshot
}

func (r *reading) read(dir string) error {
	r.table = lock.New()
	return raftlog.Dump(dir, raftlog.Contents{
		Identity: func(cluster, member string, format int) error {
			r.info.Cluster, r.info.Members = cluster, []raftlog.Peer{{Member: member, Address: member}}
			return r.tell(identityPart(cluster, member, format))
		},
		Snapshot: r.snapshot,
		Entry:    r.entry,
	})
}

func (r *reading) snapshot(path string, info raftlog.SnapshotInfo, next func() ([]byte, error)) error {
	t, err := readTable(next)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	r.info, r.table, r.saved = info, t, info.Entry
	s := &Snapshot{info, t}
	d := document.DumpedSnapshot{Part: "snapshot", Snapshot: s.Document()}
	d.File = path
	words := fmt.Sprintf("snapshot %s: up to entry %d of term %d, taken %s\n%s",
		path, info.Entry, info.Term, info.Created.UTC().Format(time.RFC3339), indented(s.Words()))
	return r.tell(Part{d, func() string { return words }})
}

// entry tells of an entry, and carries it out unless the snapshot has it.
func (r *reading) entry(e raftlog.Entry) error {
	if e.Index > r.info.Entry+1 {
		return fmt.Errorf("the log goes on with entry %d, and what comes before ends with entry %d: what lies between is missing", e.Index, r.info.Entry)
	}
	entry := lock.Entry{Term: e.Term, StampTerm: e.StampTerm, Elapsed: lock.Duration(e.Elapsed.Microseconds())}
	for _, b := range e.Batches {
		commands, err := lock.DecodeCommands(b)
		if err == nil {
			err = lock.CheckLevel(commands, lock.FormatLevel)
		}
		if err != nil {
			return fmt.Errorf("entry %d: %w", e.Index, err)
		}
		entry.Commands = append(entry.Commands, commands...)
	}
	if err := r.tell(entryPart(&e, entry.Commands, e.Index <= r.saved)); err != nil {
		return err
	}
	if e.Index <= r.info.Entry {
		return nil
	}
	r.info.Entry, r.info.Term = e.Index, e.Term
	if len(e.Members) > 0 {
		r.info.Members = e.Members
	}
	if e.Kind == batchesKind {
		r.info.Applied++
		r.table.Apply(entry)
	}
	return nil
}

// batchesKind is what the engine calls entries that were proposed.
const batchesKind = "batches"

func (r *reading) tellState() error {
	words := r.table.Describe()
	d := document.DumpedState{
		Part: "state", Entry: document.NumberOf(r.info.Entry), Token: document.NumberOf(uint64(r.table.Token())), Counts: countsOf(r.table),
		Words: lines(words),
	}
	return r.tell(Part{d, func() string {
		return fmt.Sprintf("state after entry %d\n%s", r.info.Entry, indented(words))
	}})
}

// ErrInUse says that a server runs over the directory.
var ErrInUse = raftlog.ErrInUse
