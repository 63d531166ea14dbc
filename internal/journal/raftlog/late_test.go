package raftlog

import (
	"bytes"
	"io"
	"slices"
	"testing"
	"testing/synctest"

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
				sender := &links{j.cfg.Transport, j.store}
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
