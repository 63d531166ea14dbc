package raftlog

import (
	"fmt"
	"net"
	"time"

	"github.com/hashicorp/raft"
)

// Streams are the connections on which journals speak to each other. Its address is
// the one that others reach this member under. Whoever has made it closes it, after
// the journal.
type Streams interface {
	net.Listener
	// Dial connects to a member; the name is "" if it is not known.
	Dial(member, address string, timeout time.Duration) (net.Conn, error)
}

// streamLayer is Streams as raft wants them.
type streamLayer struct {
	Streams
	journal *Journal
}

// Dial implements raft.StreamLayer. Raft goes on for a while to send to a member that was
// removed. Who is found at its address may be a new one, which is not to be spoken to before it
// is a member: it would take this one for its leader, and be known before it has joined.
func (s *streamLayer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	name := s.journal.nameAt(string(address))
	if name == "" && s.journal.running.Load() {
		return nil, fmt.Errorf("no member has the address %s any more", address)
	}
	return s.Streams.Dial(name, string(address), timeout)
}

// nameAt returns the member at an address; "" if that is not known.
func (j *Journal) nameAt(address string) string {
	for _, p := range j.cfg.Peers {
		if p.Address == address && !j.running.Load() {
			return p.Member
		}
	}
	if !j.running.Load() {
		return ""
	}
	for _, m := range j.Members() {
		if m.Address == address {
			return m.Member
		}
	}
	return ""
}

// streamTimeout bounds one exchange between journals, a write to the disk
// included.
const streamTimeout = 5 * time.Second

// newTransport makes raft's transport over streams.
func (j *Journal) newTransport() Transport {
	return raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: &streamLayer{j.cfg.Streams, j}, MaxPool: 3, MaxRPCsInFlight: 1, Timeout: streamTimeout,
		Logger: (&logWriter{j.log}).hclog("transport"), MsgpackUseNewTimeFormat: true,
	})
}

// closeTransport ends what is said to other members, now.
func closeTransport(t raft.Transport) {
	if t, ok := t.(interface{ CloseStreams() }); ok {
		t.CloseStreams()
	}
	if t, ok := t.(raft.WithClose); ok {
		_ = t.Close() // it is not needed any more
	}
}
