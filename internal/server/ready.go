package server

import (
	"errors"
	"fmt"
	"time"

	"github.com/ldlm-io/ldlm/internal/node"
	"github.com/ldlm-io/ldlm/internal/probe"
)

// What is told of a server that is not ready. Strangers read it.
var (
	errDraining  = errors.New("the server is on its way out")
	errStorage   = errors.New("the storage has failed; the log of the server says how")
	errNotJoined = errors.New("this member has not joined the others yet")
	errRemoved   = errors.New("this member was removed from the cluster; its log says what to do")
	errNoLead    = errors.New("nobody is known to lead, or there is no room on the disk")
)

// Readiness says whether clients should come, and why not.
func (s *Server) Readiness() probe.Report {
	return probe.Report{
		{Name: "storage", Err: s.storage()},
		{Name: "quorum", Err: s.lead()},
		{Name: "clock", Err: s.clock()},
		{Name: "draining", Err: s.leaving()},
	}
}

func (s *Server) storage() error {
	if s.node.Err() != nil {
		return errStorage
	}
	return nil
}

func (s *Server) lead() error {
	if s.members != nil && s.members.removed.Load() {
		return errRemoved
	}
	select {
	case <-s.node.Begun():
	default:
		return errNotJoined
	}
	if leads, _ := s.node.Leading(); leads {
		return nil
	}
	if s.members == nil {
		return errNoLead
	}
	// A member stops to know a leader when it has not heard of it for a heartbeat.
	if l, known := s.kept.Leader(); known && l.Member != s.members.config.Name {
		return nil
	}
	return errNoLead
}

// clock says whether time passes in the table. It is not about the time of day, which
// nothing depends on.
func (s *Server) clock() error {
	if silence := s.rounds.silence(); silence > longestRound {
		return fmt.Errorf("time has stood still for %d s: the loop that ends leases and waits is stuck", int(silence.Seconds()))
	}
	return nil
}

func (s *Server) leaving() error {
	select {
	case <-s.unready:
		return errDraining
	default:
		return nil
	}
}

// Unready says by every probe that no more clients should come, and changes
// nothing else: whoever sends them here has time to notice. There is no way back.
func (s *Server) Unready() {
	s.leave.Do(func() { close(s.unready) })
	s.grpc.SetReady(false)
}

// watchReadiness has gRPC's health follow readiness.
func (s *Server) watchReadiness() {
	begun := s.node.Begun()
	look := time.NewTicker(roundEvery) // nobody says when the loop is stuck
	defer look.Stop()
	for {
		_, changed := s.node.Leading()
		var elsewhere <-chan struct{} // another member leads, or none
		if s.members != nil {
			elsewhere = s.kept.Changed()
		}
		s.grpc.SetReady(s.Readiness().Ready())
		select {
		case <-changed:
		case <-elsewhere:
		case <-look.C:
		case <-begun:
			begun = nil
		case <-s.unready:
			return // said, for ever
		case <-s.looking.Done():
			return
		}
	}
}

// awaitLead waits for the lead of a node that has begun, and so has had it: its
// loop is only to get there.
func awaitLead(n *node.Node) {
	select {
	case <-n.Begun():
	default:
		return // one of several, which will have a leader some time
	}
	for {
		leads, changed := n.Leading()
		if leads {
			return
		}
		select {
		case <-changed:
		case <-n.Done():
			return
		}
	}
}
