package raftlog

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// A Roll is who the members are, as this one knows them. A member is its name and its
// directory together: with another directory under the same name it has forgotten its
// votes and what it confirmed, and with an older copy some of it. All methods are safe
// for concurrent use.
//
// What is known of a directory is durable before anything is said to it. What entries
// a member had is known only while this process lives.
type Roll struct {
	journal *Journal

	mu      sync.Mutex
	closed  bool
	entries map[string]uint64 // that members certainly had, by name
}

// Roll returns who the members are.
func (j *Journal) Roll() *Roll { return j.roll }

// Self is the identity of this member's directory, which no other one has.
func (r *Roll) Self() string { return r.journal.dir.Directory }

// Of returns what is known of a member: the identity of its directory, "" if it was never
// met, and an entry that it certainly had.
func (r *Roll) Of(member string) (directory string, entry uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.journal.dir.Known[member], r.entries[member]
}

// met reports whether a member's directory is known, be it that of one that was removed.
func (r *Roll) met(member string) bool {
	directory, _ := r.Of(member)
	return directory != ""
}

// Meet compares the directory that a member comes with to the one that is known, and
// keeps it for good if it is a member that was not met before. speaks says that its journal
// is to speak to this one. An error says why it must not be listened to.
func (r *Roll) Meet(member, directory string, speaks bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.journal.dir
	known := d.Known[member]
	switch {
	case r.closed:
		return errClosed
	case directory == "" && !speaks:
		return nil // it has none yet, and wants to find out who is here
	case directory == "":
		return errors.New("it does not say which data directory it has")
	case known == directory:
	case known != "":
		return fmt.Errorf("member %q comes with another data directory than it had, and has forgotten what it confirmed: ldlm cluster remove %s, then join under a new name", member, member)
	case speaks || r.belongs(member):
		if err := r.keep(member, directory); err != nil {
			return err
		}
	}
	if speaks && len(d.Awaits) > 0 {
		return fmt.Errorf("a new cluster begins when all its members have met: member %q still waits for %s", d.Member, strings.Join(d.Awaits, ", "))
	}
	return nil
}

// belongs reports whether a name is that of a member.
func (r *Roll) belongs(name string) bool {
	_, is := r.journal.member(name)
	return is
}

// keep makes a directory known for good.
func (r *Roll) keep(member, directory string) error {
	d := r.journal.dir
	next := d.identity
	next.Known = maps.Clone(d.Known)
	if next.Known == nil {
		next.Known = map[string]string{}
	}
	next.Known[member] = directory
	next.Awaits = slices.DeleteFunc(slices.Clone(d.Awaits), func(name string) bool { return name == member })
	if err := next.write(r.journal.disk, d.path); err != nil {
		return err
	}
	if len(d.Awaits) > 0 && len(next.Awaits) == 0 {
		r.journal.log.InfoContext(r.journal.stopped, "All members of the new cluster have met", "member", d.Member)
	}
	d.Known, d.Awaits = next.Known, next.Awaits // the rest is read without the lock
	return nil
}

// Awaits returns the members that a new cluster waits for before it begins.
func (r *Roll) Awaits() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.journal.dir.Awaits)
}

// Note notes an entry that a member has said to have applied: it is on its disk for ever.
func (r *Roll) Note(member string, entry uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries[member] = max(r.entries[member], entry)
}

// Hear compares what another member knows of this one to what is true. If this is another
// directory, or an older copy, the journal fails for good: nothing it would confirm
// could be relied on.
func (r *Roll) Hear(by, directory string, entry uint64) error {
	d := r.journal.dir
	var what string
	switch last := r.journal.raft.LastIndex(); {
	case directory != "" && directory != d.Directory:
		what = fmt.Sprintf("member %q knows %q with another data directory: this one, %s, is new or another's, "+
			"and does not have what %q has confirmed", by, d.Member, d.path, d.Member)
	case directory != "" && last < entry:
		what = fmt.Sprintf("member %q has seen %q with entry %d, and the data directory %s ends with entry %d: it is an older copy, "+
			"and does not have what %q has confirmed since", by, d.Member, entry, d.path, last, d.Member)
	default:
		return nil
	}
	err := fmt.Errorf("%w: %s; put the directory that it had back, or take the member out with \"ldlm cluster remove %s\", "+
		"asked of another one, and join with an empty data directory and a new name (cluster_join)", journal.ErrFatal, what, d.Member)
	r.journal.disk.fail(err)
	return err
}

// close says that the directory is let go.
func (r *Roll) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}
