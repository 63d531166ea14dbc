package ldlm

import (
	"errors"
	"fmt"
	"slices"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

var (
	errGoAway     = errors.New("the server asked to reconnect")
	errSuperseded = errors.New("the server has a newer connection of this session")
	errTooEarly   = errors.New("frame before welcome")
)

// received is what a frame leads to once the session's mutex is free again.
type received struct {
	lost []*Lock // locks that ended
	err  error   // why the link can go on no more
	// fatal is why the session can go on no more, reason what its locks are told.
	fatal  error
	reason EndReason
}

// handle does what a frame of a link says. It reports false if the session has
// no more use for the link. After a farewell only the server's last words matter.
//
// Only the newest link is heard: from the moment that a hello is sent on
// another one, nothing that comes over this one counts. And what comes after
// the session was lost by the clock does not count either, although no timer
// may have told so yet: the machine may have slept.
func (s *session) handle(l *link, f *ldlmv2.ServerFrame) bool {
	s.mu.Lock()
	if l != s.link && l != s.trying {
		l.heard = true
		waits := l.farewell
		s.mu.Unlock()
		if waits && f.End != nil {
			s.linkFailed(l, farewellError(f.End))
			return false
		}
		return waits
	}
	if s.overdue() {
		s.mu.Unlock()
		s.end(errSessionLost, ReasonUnconfirmed)
		return false
	}
	var r received
	s.readFrame(l, f, &r)
	l.reading.note(f, s.slots.busy)
	if s.link != nil {
		s.link.handOver()
	}
	s.mu.Unlock()
	return s.conclude(l, &r)
}

// farewellError is ErrClosed if the server's last words say that the session is over.
func farewellError(st *ldlmv2.Status) error {
	switch st.GetCode() {
	case ldlmv2.Code_CODE_OK, ldlmv2.Code_CODE_SESSION_LOST:
		return ErrClosed
	default:
		return statusError("close", "", st)
	}
}

// conclude does what must not be done with mu held.
func (s *session) conclude(l *link, r *received) bool {
	for _, lock := range r.lost {
		lock.announceLoss()
	}
	switch {
	case r.fatal != nil:
		s.end(r.fatal, r.reason)
		return false
	case r.err != nil:
		s.linkFailed(l, r.err)
		return false
	}
	return true
}

// readFrame takes a frame in, in an order that lets nothing slip through: a
// grant before the end of that grant, ends before the keep-alive that confirms
// what is left. mu is held.
func (s *session) readFrame(l *link, f *ldlmv2.ServerFrame, r *received) {
	if f.Welcome != nil {
		s.readWelcome(l, f.Welcome)
	}
	if l.welcome == nil && f.End == nil {
		r.err = errTooEarly
		return
	}
	if f.Alive != nil && l == s.trying {
		s.readAlive(l, f.Alive, r)
	}
	for _, a := range f.Answers {
		s.readAnswer(a, r)
	}
	for _, lost := range f.Lost {
		s.readLost(lost, r)
	}
	if f.KeepAlive != nil && l == s.link {
		s.readKeepAlive(f.KeepAlive)
	}
	if f.Leader != nil {
		s.readLeader(l, f.Leader)
	}
	if f.GoAway != nil {
		r.err = fmt.Errorf("%w: %s", errGoAway, f.GoAway.GetReason())
	}
	if f.End != nil {
		s.readEnd(l, f.End, r)
	}
}

// readAnswer ends, or moves on, the call that an answer is for. Answers to
// calls that are over are for copies that were sent twice: they say nothing new.
func (s *session) readAnswer(a *ldlmv2.Answer, r *received) {
	ca := s.slots.find(a.GetSlot(), a.GetSeq())
	if ca == nil {
		return
	}
	switch code := a.GetCode(); {
	case code == ldlmv2.Code_CODE_SUPERSEDED:
		r.err = errSuperseded
	case code == ldlmv2.Code_CODE_SESSION_LOST, code == ldlmv2.Code_CODE_STALE:
		// The newest seq of a slot is only ever stale for a server that was
		// restored from a backup: what we hold it does not know.
		r.fatal, r.reason = errSessionLost, ReasonSessionExpired
	case code == ldlmv2.Code_CODE_UNAVAILABLE, code == ldlmv2.Code_CODE_UNKNOWN_OUTCOME:
		s.askLater(ca)
	case !ca.settles(code):
		s.moveOn(ca, a)
	case a.GetStatus().GetEnding() == ldlmv2.Ending_ENDING_UNKNOWN:
		s.settleUnknown(ca, a)
	default:
		s.retry.number = 0
		s.settle(ca, a, r)
	}
}

// askLater has a call repeated after a pause, with its slot and seq.
func (s *session) askLater(ca *call) {
	ca.deferred = true
	s.retry.schedule()
	s.lookNow()
}

// settleUnknown tells the caller that its call failed in a way that is no
// outcome, and goes on asking for one behind its back: until then the slot is
// good for nothing else. An acquire is cancelled.
func (s *session) settleUnknown(ca *call, a *ldlmv2.Answer) {
	if ca.background || ca.canceling {
		s.askLater(ca)
		return
	}
	ca.answer.read(a)
	rest := s.newCall()
	rest.takeOver(ca)
	s.slots.calls[ca.op.GetSlot()] = rest
	s.askLater(rest)
	ca.done = true
	ca.signals <- signalDone
}

// moveOn tells the caller that its request waits.
func (s *session) moveOn(ca *call, a *ldlmv2.Answer) {
	if ca.queued || ca.canceling || a.GetCode() != ldlmv2.Code_CODE_QUEUED {
		return
	}
	ca.queued = true
	ca.ahead, ca.self = int(a.GetAhead()), a.GetSelf()
	ca.signals <- signalQueued
}

// settle ends a call.
func (s *session) settle(ca *call, a *ldlmv2.Answer, r *received) {
	ca.answer.read(a)
	switch {
	case ca.canceling:
	case ca.op.Renew != nil:
		s.settleRenewal(ca, r)
	case ca.answer.code == ldlmv2.Code_CODE_OK && ca.isAcquire():
		if ca.answer.token == 0 || s.holds[ca.answer.token] != nil {
			ca.answer = answer{code: ldlmv2.Code_CODE_INTERNAL} // no token is given twice
			break
		}
		s.hold(ca)
		if lost := s.early[ca.lock.token]; lost != nil {
			s.readLost(lost, r)
		}
	}
	s.complete(ca)
}

// maxEarly bounds the notices that are kept for grants to come.
const maxEarly = 65_536

// readLost ends, or marks, a hold as the server says.
func (s *session) readLost(lost *ldlmv2.Lost, r *received) {
	l := s.holds[lost.GetToken()]
	switch {
	case l == nil && s.slots.busy > 0 && len(s.early) < maxEarly:
		if s.early == nil {
			s.early = map[uint64]*ldlmv2.Lost{}
		}
		s.early[lost.GetToken()] = lost
	case l == nil:
	case lost.GetRevoked() && s.revoke(l),
		!lost.GetRevoked() && s.lose(l, reasonOf(lost.GetReason())):
		r.lost = append(r.lost, l)
	}
}

// readEnd judges the server's last words on a connection. That the session is
// lost is believed of our servers alone; who stands where they say that the
// leader is may know nothing of it.
func (s *session) readEnd(l *link, st *ldlmv2.Status, r *received) {
	err := statusError("open session", "", st)
	switch st.GetCode() {
	case ldlmv2.Code_CODE_SESSION_LOST:
		if !s.client.isProved(l.address) {
			r.err = err
			return
		}
		r.fatal, r.reason = errSessionLost, reasonOf(st.GetEnded())
		if r.reason == ReasonUnknown {
			r.reason = ReasonSessionExpired
		}
	case ldlmv2.Code_CODE_INVALID, ldlmv2.Code_CODE_LIMIT, ldlmv2.Code_CODE_UNSUPPORTED,
		ldlmv2.Code_CODE_UNAUTHENTICATED, ldlmv2.Code_CODE_DENIED:
		if s.phase == opening {
			r.fatal = err
			return
		}
		r.err = err
	default:
		r.err = err
	}
}

// readLeader notes who leads, and plans to go there.
func (s *session) readLeader(l *link, m *ldlmv2.Leader) {
	s.client.noteLeader(m, l.address)
	s.planMove(l, m)
}

// readWelcome notes the answer to hello. If an earlier session was found, what
// is alive of it follows; else the session stands.
func (s *session) readWelcome(l *link, w *ldlmv2.Welcome) {
	if l != s.trying || l.welcome != nil {
		return
	}
	l.welcome = &ldlmv2.Welcome{
		Session: w.GetSession(), ValidForUs: w.GetValidForUs(), KeepAliveEveryUs: w.GetKeepAliveEveryUs(),
		MaxSlots: w.GetMaxSlots(), MaxWaitingSlots: w.GetMaxWaitingSlots(), Resumed: w.GetResumed(),
	}
	if w.GetLeader() != nil {
		s.readLeader(l, w.GetLeader())
	}
	if w.GetResumed() {
		l.alive = make(map[uint64]bool, len(s.holds))
		return
	}
	s.stand(l)
}

// readAlive gathers the tokens of a resumed session; with the last part the
// session stands, and what is missing is lost.
func (s *session) readAlive(l *link, a *ldlmv2.Alive, r *received) {
	for _, token := range a.GetTokens() {
		l.alive[token] = true
	}
	if !a.GetLast() {
		return
	}
	var missing []*Lock
	for token, lock := range s.holds {
		if !l.alive[token] && s.lose(lock, ReasonUnknown) {
			missing = append(missing, lock)
		}
	}
	slices.SortFunc(missing, byToken)
	r.lost = append(r.lost, missing...)
	l.alive = nil
	s.stand(l)
}
