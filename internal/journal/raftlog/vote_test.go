package raftlog

import (
	"testing"
	"testing/synctest"

	"github.com/hashicorp/raft"
)

// A member that was killed remembers its term and its vote: it gives none in an older term,
// and no second one in the same.
func TestVoteIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openCluster(t)
		name, j, _ := c.leader("")
		term := j.raft.CurrentTerm() // in which it has voted for itself
		for n, j := range c.journals {
			c.isolate(n)
			j.crash()
			c.journals[n] = nil
		}
		c.open(name)
		defer c.close()
		candidate := []byte(c.other(name))
		_, network := raft.NewInmemTransport(raft.ServerAddress(candidate))
		defer func() { _ = network.Close() }()
		network.Connect(raft.ServerAddress(name), c.networks[name])
		for _, ask := range []struct {
			term uint64
			want bool
		}{{term - 1, false}, {term, false}, {term + 1, true}, {term, false}} {
			// One that was told to take over is not refused for a leader that is still known.
			request := &raft.RequestVoteRequest{
				RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: candidate, Addr: candidate},
				Term:      ask.term, LastLogIndex: 1 << 20, LastLogTerm: term, LeadershipTransfer: true,
			}
			var answer raft.RequestVoteResponse
			if err := network.RequestVote(raft.ServerID(name), raft.ServerAddress(name), request, &answer); err != nil {
				t.Fatal(err)
			}
			if answer.Granted != ask.want || answer.Term < term {
				t.Errorf("a vote in term %d, after one in term %d: %+v", ask.term, term, answer)
			}
		}
	})
}
