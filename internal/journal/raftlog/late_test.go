package raftlog

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// letter is a snapshot on its way to another member.
type letter struct {
	request raft.InstallSnapshotRequest
	data    []byte
}

// letterOf is a snapshot as the member that leads would send it now.
func letterOf(t *testing.T, j *Journal) letter {
	t.Helper()
	if err := j.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	metas, err := j.snapshots.List()
	if err != nil || len(metas) != 1 {
		t.Fatalf("%d snapshots: %v", len(metas), err)
	}
	m, r, err := j.snapshots.Open(metas[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	self := []byte(j.cfg.Member)
	return letter{raft.InstallSnapshotRequest{
		RPCHeader:       raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: self, Addr: self},
		SnapshotVersion: m.Version, Term: j.raft.CurrentTerm(), Leader: self, LastLogIndex: m.Index, LastLogTerm: m.Term,
		Size: m.Size, Configuration: raft.EncodeConfiguration(m.Configuration), ConfigurationIndex: m.ConfigurationIndex,
	}, data}
}

// dropAll takes a snapshot and drops the log that it covers.
func dropAll(t *testing.T, j *Journal) {
	t.Helper()
	if err := j.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	metas, err := j.snapshots.List()
	if err != nil {
		t.Fatal(err)
	}
	first, err := j.store.FirstIndex()
	if err == nil {
		err = j.store.DeleteRange(first, metas[0].Index)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A snapshot may be on its way for long. A member that has gone on meanwhile does not go back
// to it: it has vouched for what comes after, which must not be lost. Who has sent it is told
// that all of it is there.
func TestLateSnapshot(t *testing.T) {
	const first, all = 20, 40 // lines, when the snapshot was sent and when it comes
	for name, own := range map[string]int{"the log has it all": 0, "the log goes on behind it": first, "newer snapshot": all} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := openCluster(t)
				defer c.close()
				lead, j, _ := c.leader("")
				propose := func(lines int) {
					for range lines {
						if err := j.Propose(t.Context(), line("x")); err != nil {
							t.Fatal(err)
						}
					}
				}
				at := c.other(lead)
				follower := c.journals[at]
				compact := func(lines int) {
					c.settled(lines)
					if own == lines {
						dropAll(t, follower)
					}
				}
				propose(first)
				compact(first)
				late := letterOf(t, j)
				propose(all - first)
				compact(all)
				before, _ := follower.store.LastIndex()

				var answer raft.InstallSnapshotResponse
				sender := &links{Transport: j.cfg.Transport, store: j.store}
				err := sender.InstallSnapshot(raft.ServerID(at), raft.ServerAddress(at), &late.request, &answer, bytes.NewReader(late.data))
				if err != nil || !answer.Success {
					t.Errorf("who has sent it is told %+v, %v", answer, err)
				}
				after, err := follower.store.LastIndex()
				if err != nil || after < before {
					t.Errorf("the log had entry %d and ends with %d: %v", before, after, err)
				}
				if got := c.machines[at].contents(); len(got) != all {
					t.Errorf("the table has gone back to %d lines of %d", len(got), all)
				}
				propose(5)
				c.settled(all + 5)
				if got := c.machines[at].contents(); !slices.Equal(got, c.machines[lead].contents()) {
					t.Errorf("the tables differ, %d lines", len(got))
				}
			})
		})
	}
}

// The answer to what a leader has sent first behind a snapshot may be lost, and it sends the
// same again; a leader after it may have other entries there. Both ask for the last entry of
// the snapshot, which is in no log any more.
func TestSentAgainBehindSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openCluster(t)
		defer c.close()
		lead, j, _ := c.leader("")
		at := c.other(lead)
		for i := range 10 {
			if err := j.Propose(t.Context(), line("x")); err != nil {
				t.Fatal(err)
			}
			if i == 4 {
				c.settled(5)
				dropAll(t, c.journals[at])
			}
		}
		c.settled(10)
		store := c.journals[at].store
		first, err := store.FirstIndex()
		if err != nil {
			t.Fatal(err)
		}
		var next raft.Log
		if err := j.store.GetLog(first, &next); err != nil {
			t.Fatal(err)
		}
		self := []byte(lead)
		again := &raft.AppendEntriesRequest{
			RPCHeader:    raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: self, Addr: self},
			Term:         j.raft.CurrentTerm(),
			PrevLogEntry: first - 1, PrevLogTerm: next.Term, Entries: []*raft.Log{&next},
		}
		var answer raft.AppendEntriesResponse
		err = j.cfg.Transport.AppendEntries(raft.ServerID(at), raft.ServerAddress(at), again, &answer)
		if err != nil || !answer.Success {
			t.Errorf("sent again behind entry %d, the answer is %+v: %v", first-1, answer, err)
		}
		var l raft.Log
		if err := store.GetLog(first-2, &l); !errors.Is(err, raft.ErrLogNotFound) {
			t.Errorf("entry %d, which is only in the snapshot: %+v, %v", first-2, l, err)
		}
	})
}

// What a snapshot ends with is no entry that a leader may send, even if the log went on behind
// the very first one.
func TestNothingStandsForTheFirstEntry(t *testing.T) {
	s := &store{wal: beginsBehind{}, edge: func() (index, term uint64) { return 1, 1 }}
	var l raft.Log
	if err := s.before(1, &l); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("entry 1 is %+v, %v", l, err)
	}
}

// beginsBehind is a log whose first entry is dropped.
type beginsBehind struct{ walStore }

func (beginsBehind) FirstIndex() (uint64, error) { return 2, nil }

// A snapshot whose last entry is another one than the log has there is taken: that of the log
// was never agreed on.
func TestSnapshotOfAnotherTerm(t *testing.T) {
	j := mustBegin(t, small(fastDir(t)), &tape{})
	defer mustClose(t, j)
	if err := j.Propose(t.Context(), line("x")); err != nil {
		t.Fatal(err)
	}
	last, err := j.store.LastIndex()
	if err != nil {
		t.Fatal(err)
	}
	term := j.raft.CurrentTerm()
	for of, want := range map[uint64]bool{term: true, term + 1: false} {
		meta := snapshotMeta{Index: last, Term: of}
		if got := j.snapshots.had(&sink{id: meta.name(), index: last, term: of}); got != want {
			t.Errorf("entry %d of term %d, and the log has one of term %d: it is here already: %v", last, of, term, got)
		}
	}
}

// A member that leads, is removed while others propose to it, and is closed then, answers all
// of them, and ends.
func TestRemovedLeaderCloses(t *testing.T) {
	for i := range 80 {
		synctest.Test(t, func(t *testing.T) {
			c := openCluster(t)
			name, j, _ := c.leader("")
			ctx, cancel := context.WithCancel(t.Context())
			var proposing sync.WaitGroup
			for k := range 8 {
				proposing.Go(func() {
					for ctx.Err() == nil {
						_ = j.Propose(ctx, line("x"))
						<-time.After(time.Duration(1+k) * 50 * time.Microsecond)
					}
				})
			}
			<-time.After(time.Duration(i) * 100 * time.Microsecond)
			limited, over := context.WithTimeout(t.Context(), 5*time.Second)
			_ = j.Remove(limited, name)
			over()
			<-time.After(time.Second)
			cancel()
			proposing.Wait()
			closed := make(chan struct{})
			go func() {
				defer close(closed)
				_ = j.Close()
			}()
			select {
			case <-closed:
			case <-time.After(time.Minute):
				t.Errorf("removed after %d00 µs it does not end: %d entries are in flight", i, len(j.queue.flying))
				j.disk.fail(errCrash)
				<-closed
			}
			c.journals[name] = nil
			c.close()
		})
	}
}
