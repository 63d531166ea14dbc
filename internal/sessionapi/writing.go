package sessionapi

import (
	"log/slog"
	"sync"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// writing is the half of a conversation that is guarded by its turn.
type writing struct {
	// out gathers the next frame, size is about what it takes.
	out  ldlmv2.ServerFrame
	size int
	// places are the answers in it that tell no more than a place in a queue.
	places placesToTell
	// broken: nothing more can be sent, or is to be.
	broken bool
	// refusals make the answers to operations that the table was only asked to
	// remember, or that it would have carried out for somebody else.
	refusals map[ref]func() *ldlmv2.Status
	// takeNotice is add, made once.
	takeNotice func(*Notice)
}

// fillBytes is how large a frame grows before it is sent and the next begun.
const fillBytes = 64 << 10

// flush sends all that has gathered, in one frame unless it is much. What ended
// is told before, or with, the confirmation of the keep-alive at hand.
func (c *conversation) flush() {
	c.turn.take()
	defer c.turn.giveBack()
	if c.broken {
		return
	}
	number, valid, confirmed := c.life.answer(c.link.Confirm)
	c.link.Take(c.takeNotice)
	if confirmed {
		c.out.KeepAlive = &ldlmv2.KeepAlive{Number: number, ValidForUs: valid.Microseconds()}
		c.size++
	}
	if leader, goAway := c.news.take(); leader != nil || goAway != nil {
		c.out.Leader, c.out.GoAway = leader, goAway
		c.size++
	}
	if c.size == c.places.size && c.places.mayWait() {
		return
	}
	c.sendOut()
}

// add puts a notice into the frame. The caller has the turn.
func (c *conversation) add(n *Notice) {
	switch n.Kind {
	case Answer:
		if n.Slot == closeSlot && n.Seq == closeSeq {
			return // it is answered by the end
		}
		c.addAnswer(n)
	case Lost, Revoked:
		c.out.Lost = append(c.out.Lost, &ldlmv2.Lost{
			Name: n.Name, Token: uint64(n.Token), Reason: EndReasonOf(n.Reason), Revoked: n.Kind == Revoked,
		})
		c.size += 32 + len(n.Name)
	}
	if c.size >= fillBytes {
		c.sendOut()
	}
}

func (c *conversation) addAnswer(n *Notice) {
	a := c.nextAnswer(n.Slot, n.Seq)
	o := n.Outcome
	if why := c.refusals[ref{n.Slot, n.Seq}]; why != nil {
		delete(c.refusals, ref{n.Slot, n.Seq})
		if o.Code == lock.NotFound || o.Code == lock.WrongKey || o.Code == lock.Canceled {
			s := why()
			a.Code, a.Status = s.GetCode(), s
			c.size += sizeOfStatus(s)
			return
		}
	}
	c.noteLimit(o)
	fillAnswer(a, o)
	if o.Code == lock.Queued {
		c.places.size += sizeOfAnswer
	}
	c.size += 8*len(a.Fences) + sizeOfStatus(a.Status)
}

// answer answers an operation without the table.
func (c *conversation) answer(slot uint32, seq uint64, s *ldlmv2.Status) {
	c.turn.take()
	defer c.turn.giveBack()
	delete(c.refusals, ref{slot, seq})
	a := c.nextAnswer(slot, seq)
	a.Code, a.Status = s.GetCode(), s
	if c.size += sizeOfStatus(s); c.size >= fillBytes {
		c.sendOut()
	}
}

// nextAnswer returns an empty answer in the frame, one from an earlier frame if
// there is any.
func (c *conversation) nextAnswer(slot uint32, seq uint64) *ldlmv2.Answer {
	answers := c.out.Answers
	n := len(answers)
	var a *ldlmv2.Answer
	if n < cap(answers) {
		a = answers[:n+1][n]
	}
	if a == nil {
		a = new(ldlmv2.Answer)
	}
	c.out.Answers = append(answers, a)
	a.Slot, a.Seq = slot, seq
	c.size += sizeOfAnswer
	return a
}

// sizeOfAnswer is about what an answer takes in a frame that says little.
const sizeOfAnswer = 64

// fillAnswer says what came of a command.
func fillAnswer(a *ldlmv2.Answer, o *lock.Outcome) {
	a.Code, a.Status = CodeOf(o.Code), StatusOf(o)
	switch {
	case o.Code == lock.Queued:
		a.Ahead, a.Self = o.Ahead, o.Self
	case o.Code == lock.OK && o.Key != (lock.Key{}):
		a.Token, a.Fence, a.Key = uint64(o.Token), uint64(o.Fence), append(a.Key, o.Key[:]...)
		a.AtOnce, a.WaitedUs = o.AtOnce, int64(o.Waited)
		for _, f := range o.Fences {
			a.Fences = append(a.Fences, uint64(f))
		}
	case o.Code == lock.Ended:
		a.Token = uint64(o.Token)
	}
}

// sizeOfStatus is about what a status takes in a frame.
func sizeOfStatus(s *ldlmv2.Status) int {
	if s == nil {
		return 0
	}
	n := 32 + len(s.Message)
	if b := s.Blocker; b != nil {
		n += 64 + len(b.Name)
		if h := b.Holder; h != nil {
			n += 128 + len(h.Reason) + len(h.Value) + sizeOfLabels(h.Labels)
			if i := h.Client; i != nil {
				n += 64 + len(i.Host) + len(i.User) + len(i.Program) + len(i.Library) + len(i.Remote) + sizeOfLabels(i.Labels)
			}
		}
	}
	return n
}

func sizeOfLabels(labels map[string]string) int {
	n := 0
	for k, v := range labels {
		n += 8 + len(k) + len(v)
	}
	return n
}

// sendOut sends the frame that has gathered. The caller has the turn.
func (c *conversation) sendOut() {
	if c.size == 0 {
		return
	}
	c.send(&c.out)
	const kept = 512 // answers; larger bursts are rare
	answers := c.out.Answers
	if cap(answers) > kept {
		answers = nil
	}
	for _, a := range answers {
		key := a.Key[:0]
		a.Reset()
		a.Key = key
	}
	c.out.Reset()
	c.out.Answers, c.size = answers[:0], 0
	c.places.told()
}

// send sends a frame. If that fails, the connection is over. The caller has the turn.
func (c *conversation) send(f *ldlmv2.ServerFrame) {
	if c.broken {
		return
	}
	if err := c.carrier.Send(f); err != nil {
		c.broken = true
		c.note(slog.LevelDebug, "cannot write", "error", err)
		c.carrier.Close()
	}
}

// end says the last words. Only the first ones are said.
func (c *conversation) end(s *ldlmv2.Status) {
	if c.over.Swap(true) {
		return
	}
	c.turn.take()
	defer c.turn.giveBack()
	c.send(&ldlmv2.ServerFrame{End: s})
	c.broken = true
	c.carrier.Finish()
}

// news is what a server has to tell all its clients.
type news struct {
	mu     sync.Mutex // guards what follows; held for a few assignments
	leader *ldlmv2.Leader
	goAway *ldlmv2.GoAway
	going  bool
}

func (c *conversation) tellLeader(l *ldlmv2.Leader) {
	c.news.mu.Lock()
	c.news.leader = l
	c.news.mu.Unlock()
	c.late.rouse()
}

func (c *conversation) tellGoAway(g *ldlmv2.GoAway) {
	c.news.mu.Lock()
	c.news.goAway, c.news.going = g, true
	c.news.mu.Unlock()
	c.late.rouse()
}

// take takes what was not told yet.
func (n *news) take() (leader *ldlmv2.Leader, goAway *ldlmv2.GoAway) {
	n.mu.Lock()
	defer n.mu.Unlock()
	leader, goAway = n.leader, n.goAway
	n.leader, n.goAway = nil, nil
	return leader, goAway
}

// toldToGo reports whether the client was asked to go away: then it does not
// end its session by closing this connection.
func (n *news) toldToGo() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.going
}
