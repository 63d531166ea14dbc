// Package raftlogtest is a network in memory for journals of several members, which
// tests cut and heal. It runs on fake time.
package raftlogtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/journal/raftlog"
)

// Network connects members by their names, which are their addresses too. All
// methods are safe for concurrent use.
type Network struct {
	tb testing.TB

	mu       sync.Mutex
	carriers map[string]*raft.InmemTransport
	journals map[string]*raftlog.Journal
	cut      map[string]bool
}

// New makes a network without members.
func New(tb testing.TB) *Network {
	tb.Helper()
	return &Network{
		tb: tb, carriers: map[string]*raft.InmemTransport{}, journals: map[string]*raftlog.Journal{}, cut: map[string]bool{},
	}
}

// Config completes the configuration of a member's journal. Those that it begins with are
// peers; none joins others.
func (n *Network) Config(c raftlog.Config, peers ...string) raftlog.Config {
	_, carrier := raft.NewInmemTransport(raft.ServerAddress(c.Member))
	c.Transport, c.Courier = carrier, courier{n, c.Member}
	for _, p := range peers {
		c.Peers = append(c.Peers, raftlog.Peer{Member: p, Address: p})
	}
	c.Join = len(peers) == 0
	n.mu.Lock()
	defer n.mu.Unlock()
	n.carriers[c.Member] = carrier
	n.connect(c.Member)
	return c
}

// Serve has a member's journal answer others.
func (n *Network) Serve(member string, j *raftlog.Journal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.journals[member] = j
}

// connect connects a member with all others that are not cut off. mu is held.
func (n *Network) connect(member string) {
	for name, carrier := range n.carriers {
		if name != member && !n.cut[name] && !n.cut[member] {
			carrier.Connect(raft.ServerAddress(member), n.carriers[member])
			n.carriers[member].Connect(raft.ServerAddress(name), carrier)
		}
	}
}

// Cut cuts a member off.
func (n *Network) Cut(member string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[member] = true
	n.carriers[member].DisconnectAll()
	for name, carrier := range n.carriers {
		if name != member {
			carrier.Disconnect(raft.ServerAddress(member))
		}
	}
}

// Heal connects a member again.
func (n *Network) Heal(member string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.cut, member)
	n.connect(member)
}

// reach returns the journal of a member, nil if it cannot be reached.
func (n *Network) reach(from, to string) *raftlog.Journal {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cut[from] || n.cut[to] {
		return nil
	}
	return n.journals[to]
}

// courier is the network as one member has it.
type courier struct {
	network *Network
	member  string
}

// Ask implements [raftlog.Courier]. The answer of a member that is cut off meanwhile
// is lost.
func (c courier) Ask(ctx context.Context, of raftlog.Peer, question []byte) ([]byte, error) {
	j := c.network.reach(c.member, of.Address)
	if j == nil {
		return nil, fmt.Errorf("%w: %s cannot be reached", journal.ErrRefused, of.Address)
	}
	answered := make(chan []byte, 1)
	go func() { answered <- j.Serve(context.WithoutCancel(ctx), slices.Clone(question)) }()
	select {
	case a := <-answered:
		if c.network.reach(c.member, of.Address) == nil {
			return nil, errors.New("the answer was lost")
		}
		return a, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
