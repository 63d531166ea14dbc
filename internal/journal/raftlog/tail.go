package raftlog

import (
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// tail is the end of the log while it is on its way to the disk. It is empty but at a
// leader that has other voters: there, entries go to the others and to its own disk at the
// same time. What makes that safe is in two places. Nothing that another member confirms
// reaches raft before this one's disk has it too (type links), so nothing is committed
// earlier than if the leader had written first. And nothing that raft must remember is
// written before the tail is ([store.Set]), so a tail never outlives the term in which it
// was stored: whatever a member vouches for in a later one is on its disk.
type tail struct {
	mu      sync.Mutex
	logs    []*raft.Log
	writing bool          // a writer is at work, and will take what is added
	moved   chan struct{} // closed when something of it is on the disk; nil if nobody waits
	writers sync.WaitGroup
}

// get returns an entry of the tail; false if it has none of that index.
func (t *tail) get(index uint64, l *raft.Log) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.logs) == 0 || index < t.logs[0].Index || index-t.logs[0].Index >= uint64(len(t.logs)) {
		return false
	}
	*l = *t.logs[index-t.logs[0].Index]
	return true
}

// bounds returns the first and the last index; 0 if the tail is empty.
func (t *tail) bounds() (first, last uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.logs) == 0 {
		return 0, 0
	}
	return t.logs[0].Index, t.logs[len(t.logs)-1].Index
}

// add adds entries; true if the caller is to see to it that they are written.
func (t *tail) add(logs []*raft.Log) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range logs {
		t.logs = append(t.logs, &raft.Log{Index: l.Index, Term: l.Term, Type: l.Type, Data: l.Data, Extensions: l.Extensions})
	}
	idle := !t.writing
	t.writing = true
	return idle
}

// next drops so many entries, which are on the disk, and returns those that are left to
// be written; none if there is nothing more to do.
func (t *tail) next(written int) []*raft.Log {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.logs = slices.Delete(t.logs, 0, written)
	if t.moved != nil && written > 0 {
		close(t.moved)
		t.moved = nil
	}
	t.writing = len(t.logs) > 0
	return slices.Clone(t.logs)
}

// left returns a channel that is closed when some of the tail is written, nil if nothing
// up to an index is left of it.
func (t *tail) left(index uint64) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.logs) == 0 || t.logs[0].Index > index {
		return nil
	}
	if t.moved == nil {
		t.moved = make(chan struct{})
	}
	return t.moved
}

// append puts entries at the end of the tail, and returns before they are on the disk.
func (s *store) append(logs []*raft.Log) error {
	if err := s.disk.check(); err != nil {
		return err
	}
	if s.tail.add(logs) {
		s.tail.writers.Go(s.writeTail)
	}
	return nil
}

// writeTail writes the tail until nothing is left of it: what is added during an fsync
// shares the next one. After a failure it stays as it is.
func (s *store) writeTail() {
	for logs := s.tail.next(0); len(logs) > 0; logs = s.tail.next(len(logs)) {
		if s.write(logs) != nil {
			return
		}
	}
}

// settle waits until everything up to an index is on the disk; the error says that it
// will never be.
func (s *store) settle(index uint64) error {
	for {
		moved := s.tail.left(index)
		if moved == nil {
			return nil
		}
		select {
		case <-moved:
		case <-s.disk.failed:
			return s.disk.check()
		}
	}
}

// Transport is what members say to each other, as raft wants it.
type Transport interface {
	raft.Transport
	raft.WithPreVote
	raft.WithClose
}

// links are a transport that lets a leader count what others have confirmed only together
// with what is on its own disk. A majority of two members or more needs one of the others.
type links struct {
	Transport
	store     *store
	followers followers
}

// AppendEntries implements raft.Transport. Nobody hears any more of a leader whose disk has
// failed: raft's signs of life go on while its main loop waits for the disk, and its transport
// makes new connections after it was closed.
func (l *links) AppendEntries(id raft.ServerID, target raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	if err := l.store.disk.check(); err != nil {
		return err
	}
	end, unread := l.store.LastIndex()
	err := l.Transport.AppendEntries(id, target, req, resp)
	n := len(req.Entries)
	if err == nil && n > 0 && resp.Success {
		err = l.store.settle(req.Entries[n-1].Index)
	}
	// A sign of life confirms nothing, and has no entry before it.
	if err == nil && unread == nil && resp.Success && req.PrevLogEntry+uint64(n) >= max(end, 1) {
		l.followers.confirmed(id)
	}
	return err
}

// InstallSnapshot implements raft.Transport. A member that had all of a snapshot is where it
// would be with it. Its refusal comes as a text. What does not arrive is no line of its own: raft
// tries again and again while a member is away, and that it does not answer is in the log.
func (l *links) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, req *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	begun := time.Now()
	err := l.Transport.InstallSnapshot(id, target, req, resp, data)
	switch {
	case err != nil && strings.Contains(err.Error(), errHadAlready.Error()):
		resp.Success, err = true, nil
	case err == nil && resp.Success:
		l.store.disk.log.InfoContext(context.Background(), "Another member was sent a snapshot, and has taken it over",
			"member", string(id), "entry", req.LastLogIndex, "bytes", req.Size, "took", time.Since(begun).String())
	}
	return err
}

// AppendEntriesPipeline implements raft.Transport. Nothing is pipelined: a follower that
// stalled while several requests were on their way is not served again.
func (*links) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

// leadsOthers reports whether this member leads and nothing can be committed without
// another one. It is asked by raft as it stores entries: the members do not change meanwhile,
// and the lead may be lost.
func (j *Journal) leadsOthers() bool {
	return j.running.Load() && j.raft.State() == raft.Leader && !j.votesAlone()
}
