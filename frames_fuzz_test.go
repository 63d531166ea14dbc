package ldlm

import (
	"context"
	"testing"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// mute is a carrier that carries nothing.
type mute struct{}

func (mute) Send([]byte) error                 { return nil }
func (mute) Receive(*ldlmv2.ServerFrame) error { return context.Canceled }
func (mute) PeerEnded() bool                   { return false }
func (mute) Close()                            {}

// FuzzServerFrames has a session hear whatever a server may say, in frames with
// two bytes of length. Nothing of it may bring the client down, or its books
// into disorder.
func FuzzServerFrames(f *testing.F) {
	frames := func(all ...*ldlmv2.ServerFrame) []byte {
		var b []byte
		for _, m := range all {
			at := len(b)
			b = wire.AppendServer(append(b, 0, 0), m)
			b[at], b[at+1] = byte((len(b)-at-2)>>8), byte(len(b)-at-2)
		}
		return b
	}
	welcome := &ldlmv2.Welcome{Version: 2, Session: 1, ValidForUs: 8e6, KeepAliveEveryUs: 2e6, MaxSlots: 4, MaxWaitingSlots: 3}
	ok := ldlmv2.Code_CODE_OK
	f.Add(frames(&ldlmv2.ServerFrame{Welcome: welcome}, &ldlmv2.ServerFrame{
		Answers:   []*ldlmv2.Answer{{Slot: 0, Seq: 1, Code: ok, Token: 5, AtOnce: true}, {Slot: 1, Seq: 1, Code: ldlmv2.Code_CODE_QUEUED}},
		Lost:      []*ldlmv2.Lost{{Name: "x", Token: 5, Reason: 5}, {Token: 6, Revoked: true}},
		KeepAlive: &ldlmv2.KeepAlive{Number: 1, ValidForUs: -1},
	}))
	f.Add(frames(
		&ldlmv2.ServerFrame{Welcome: &ldlmv2.Welcome{Resumed: true, ValidForUs: 1 << 62, MaxSlots: 1 << 31}},
		&ldlmv2.ServerFrame{Alive: &ldlmv2.Alive{Tokens: []uint64{1, 2}}},
		&ldlmv2.ServerFrame{Alive: &ldlmv2.Alive{Last: true}, GoAway: &ldlmv2.GoAway{}},
	))
	f.Add(frames(&ldlmv2.ServerFrame{Welcome: welcome, Leader: &ldlmv2.Leader{Address: "a:b:c", Known: true, Members: []string{"unix:"}}},
		&ldlmv2.ServerFrame{Answers: []*ldlmv2.Answer{
			{Slot: 0, Seq: 1, Code: ldlmv2.Code_CODE_UNAVAILABLE},
			{Slot: 1, Seq: 1, Code: ldlmv2.Code_CODE_INTERNAL, Status: &ldlmv2.Status{Ending: ldlmv2.Ending_ENDING_UNKNOWN}},
			{Slot: 2, Seq: 1, Code: ok, Token: 5}, {Slot: 2, Seq: 1, Code: ok}, {Slot: 1 << 31, Code: ok},
		}}, &ldlmv2.ServerFrame{End: &ldlmv2.Status{Code: ldlmv2.Code_CODE_SESSION_LOST}}))
	f.Fuzz(hearFrames)
}

func hearFrames(t *testing.T, data []byte) {
	c, err := Dial("localhost")
	if err != nil {
		t.Fatal(err)
	}
	c.stopped = true // no goroutines: the test itself does all that is done
	s := newSession(c)
	l := newLink(s, mute{}, c.addresses[0])
	s.greet(l, nil)
	for len(data) >= 2 {
		n := min(int(data[0])<<8|int(data[1]), len(data)-2)
		var frame ldlmv2.ServerFrame
		if wire.DecodeServer(data[2:2+n], &frame) != nil {
			break
		}
		data = data[2+n:]
		if !s.handle(l, &frame) {
			break
		}
		s.mu.Lock()
		for len(l.turn) > 0 {
			<-l.turn // as if it had been written
			l.frames, l.open, l.writing = nil, noFrame, false
		}
		if s.stood && s.order == 0 {
			askAround(s)
		}
		checkBooks(t, s)
		s.mu.Unlock()
	}
	s.end(errSessionLost, ReasonUnconfirmed)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slots.busy != 0 || len(s.holds) != 0 || len(s.leases.holds) != 0 {
		t.Errorf("after the end: %d calls, %d holds, %d leases", s.slots.busy, len(s.holds), len(s.leases.holds))
	}
}

// askAround begins calls of several kinds. mu is held.
func askAround(s *session) {
	for i, lease := range []time.Duration{0, time.Minute, 0} {
		l := newRequest("lock", "x", forever)
		l.session, l.request.lease = s, lease
		ca := s.newCall()
		ca.lock, ca.waits, ca.stamped = l, true, lease > 0
		l.request.fill(ca)
		if s.enter(ca) == nil && i == 2 {
			ca.canceling = true
		}
	}
	ca := s.newCall()
	s.askRelease(ca, &Lock{session: s, token: 1})
	_ = s.enter(ca)
}

// checkBooks checks what must be true of a session at any time. mu is held.
func checkBooks(t *testing.T, s *session) {
	busy, waiting := 0, 0
	for slot, ca := range s.slots.calls {
		if ca == nil {
			continue
		}
		busy++
		if ca.waits {
			waiting++
		}
		if int(ca.op.GetSlot()) != slot || ca.op.GetSeq() != s.slots.seqs[slot] || ca.done {
			t.Errorf("slot %d has call %v", slot, &ca.op)
		}
	}
	if busy != s.slots.busy || waiting != s.slots.waiting {
		t.Errorf("%d calls, %d of them waiting; the books say %d and %d", busy, waiting, s.slots.busy, s.slots.waiting)
	}
	for token, l := range s.holds {
		if l.token != token || l.state != held && l.state != revoked {
			t.Errorf("hold of token %d has token %d and state %d", token, l.token, l.state)
		}
	}
	for i, l := range s.leases.holds {
		if l.lease.place != i+1 || s.holds[l.token] != l {
			t.Errorf("lease %d is in place %d, and not held: %t", i, l.lease.place, s.holds[l.token] != l)
		}
	}
}
