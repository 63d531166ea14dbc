package sessionapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/clock"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/wire"
)

const (
	// protocolVersion is the newest version spoken here, and the oldest.
	protocolVersion = 2
	// maxHelloBytes bounds the first frame: who sends it is not known yet. A
	// description within the table's limits fits well.
	maxHelloBytes = 128 << 10
	// minSecretBytes and maxSecretBytes bound the secret of a session.
	minSecretBytes, maxSecretBytes = 16, 64
	// attachPatience is how long a session may take to be opened or resumed:
	// what the client may believe counts from before it asked.
	attachPatience = 10 * time.Second
	// beatsPerTTL is how many keep-alives a client is told to send within the
	// ttl of its session.
	beatsPerTTL = 5
)

var errNoHello = errors.New("the client did not say hello in time")

// greet waits for hello, opens or resumes the session, and welcomes the client.
// A status is why the client is sent away.
func (c *conversation) greet(ctx context.Context) (*ldlmv2.Status, error) {
	if err := c.awaitHello(); err != nil {
		return statusOfReceive(err), err
	}
	status, err := c.attach(ctx, c.frame.GetHello())
	if status != nil {
		return status, err
	}
	c.frame.Hello = nil // not to be kept
	return nil, nil
}

// awaitHello receives the first frame.
func (c *conversation) awaitHello() error {
	heard := c.server.greet(c.carrier)
	defer heard()
	c.carrier.LimitReceive(maxHelloBytes)
	t := time.AfterFunc(c.server.config.HelloWithin, c.carrier.Close)
	err := c.carrier.Receive(c.frame)
	if !t.Stop() {
		err = errNoHello
	}
	c.carrier.LimitReceive(wire.MaxFrameBytes)
	return err
}

// attach opens or resumes the session that hello asks for and sends welcome.
// Nothing is asked of the node before it is clear who asks, in which version.
func (c *conversation) attach(ctx context.Context, h *ldlmv2.Hello) (*ldlmv2.Status, error) {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	defer context.AfterFunc(c.server.ending, leave)() //nolint:contextcheck // this one is of the server
	s := c.server.checkVersion(h)
	if s == nil {
		s = c.admit(ctx, h.GetCredential())
	}
	if s == nil {
		s = c.server.checkHello(h)
	}
	if s == nil {
		s = c.enter()
	}
	if s != nil {
		return s, errorOf(s)
	}
	ctx, cancel := context.WithTimeout(ctx, attachPatience)
	defer cancel()
	link, o, err := c.askForLink(ctx, h)
	if err != nil {
		s := statusOfError(err)
		return s, fmt.Errorf("no session: %w", err)
	}
	if s := StatusOf(&o); s != nil {
		c.noteLimit(&o)
		return s, errorOf(s)
	}
	c.link, c.ttl = link, time.Duration(o.TTL)*time.Microsecond
	c.life.begin(clock.Now(), c.ttl)
	c.caller = lock.Caller{Session: link.Session(), Attach: link.Number()}
	leader := c.server.enter(c)
	if c.server.ending.Err() != nil {
		c.carrier.Close()
	}
	c.note(slog.LevelInfo, "session attached", "resumed", o.Alive != nil, "ttl", c.ttl)
	c.sendWelcome(h, leader, &o)
	c.watchPass()
	c.oweRest(c.server.config.Gate.Owed(c.pass, c.carrier.Remote))
	return nil, nil
}

// checkVersion says what is wrong with a hello before it is looked at who says it;
// nil if that can be looked at.
func (s *Server) checkVersion(h *ldlmv2.Hello) *ldlmv2.Status {
	switch {
	case h == nil:
		return NewStatus(ldlmv2.Code_CODE_PROTOCOL, "the first frame has no hello; say it first, once for each connection")
	case h.GetVersion() < protocolVersion:
		st := NewStatus(ldlmv2.Code_CODE_UNSUPPORTED, fmt.Sprintf(
			"the client speaks version %d of the protocol, this server speaks %d; use a newer client", h.GetVersion(), protocolVersion))
		st.Field, st.Limit = "version", protocolVersion
		return st
	}
	return nil
}

// checkHello says what is wrong with the hello of a client that was let in, nil if it
// is good.
func (s *Server) checkHello(h *ldlmv2.Hello) *ldlmv2.Status {
	switch {
	case s.draining.Load():
		return NewStatus(ldlmv2.Code_CODE_UNAVAILABLE, "the server is shutting down; reconnect elsewhere, or later")
	case len(h.GetSecret()) < minSecretBytes || len(h.GetSecret()) > maxSecretBytes:
		return invalidField("secret", maxSecretBytes, fmt.Sprintf("a secret has %d to %d random bytes", minSecretBytes, maxSecretBytes))
	}
	if _, ok := onEndFrom(h.GetOnEndOfStream()); !ok {
		return invalidField("on_end_of_stream", 0, "unknown; use keep or close")
	}
	return nil
}

func invalidField(field string, limit int64, message string) *ldlmv2.Status {
	s := NewStatus(ldlmv2.Code_CODE_INVALID, "invalid "+field+": "+message)
	s.Field, s.Limit = field, limit
	return s
}

func onEndFrom(e ldlmv2.OnEndOfStream) (lock.OnEnd, bool) {
	switch e {
	case ldlmv2.OnEndOfStream_ON_END_OF_STREAM_UNSPECIFIED, ldlmv2.OnEndOfStream_ON_END_OF_STREAM_KEEP:
		return lock.OnEndKeep, true
	case ldlmv2.OnEndOfStream_ON_END_OF_STREAM_CLOSE:
		return lock.OnEndClose, true
	default:
		return lock.OnEndKeep, false
	}
}

// askForLink opens the session, or resumes the one that hello names.
func (c *conversation) askForLink(ctx context.Context, h *ldlmv2.Hello) (Link, lock.Outcome, error) {
	info := ReadInfo(h.GetClient())
	p := c.pass.Principal()
	info.Remote, info.Transport, info.Principal = c.carrier.Remote(), c.carrier.Transport(), p.Name
	onEnd, _ := onEndFrom(h.GetOnEndOfStream())
	secret := p.HashSecret(h.GetSecret())
	if n := h.GetSession(); n != 0 {
		return c.server.config.Node.Resume(ctx, &lock.Resume{
			Session: lock.SessionNumber(n), Secret: secret, OnEnd: onEnd, Info: info,
		})
	}
	return c.server.config.Node.Attach(ctx, &lock.Open{
		Secret: secret, TTL: lock.Duration(h.GetTtlUs()), OnEnd: onEnd, Info: info, Value: h.GetValue(),
	})
}

// sendWelcome welcomes the client, and tells it what is alive of its session if
// there was one. If the link has ended already it says nothing: the end follows.
func (c *conversation) sendWelcome(h *ldlmv2.Hello, leader *ldlmv2.Leader, o *lock.Outcome) {
	c.turn.take()
	defer c.turn.giveBack()
	valid, ok := c.link.Confirm()
	if !ok {
		return
	}
	config := &c.server.config
	c.send(&ldlmv2.ServerFrame{Welcome: &ldlmv2.Welcome{
		Version: min(h.GetVersion(), protocolVersion),
		Session: uint64(c.caller.Session), Attach: c.caller.Attach,
		TtlUs: c.ttl.Microseconds(), ValidForUs: valid.Microseconds(),
		KeepAliveEveryUs: (c.ttl / beatsPerTTL).Microseconds(),
		Resumed:          o.Alive != nil, Server: config.Version, Leader: leader,
		MaxFrameBytes: wire.MaxFrameBytes,
		MaxSlots:      uint32(config.MaxSlots), MaxWaitingSlots: uint32(config.MaxWaitingSlots),
	}})
	if o.Alive != nil {
		c.sendAlive(o.Alive)
	}
}

// alivePart is how many tokens and how many slots one frame tells at most.
const alivePart = 4096

// sendAlive tells a resumed client what it still has, in parts. The caller has the turn.
func (c *conversation) sendAlive(a *lock.Alive) {
	tokens, slots := a.Tokens, a.Slots
	for last := false; !last; {
		part := &ldlmv2.Alive{}
		n := min(len(tokens), alivePart)
		for _, t := range tokens[:n] {
			part.Tokens = append(part.Tokens, uint64(t))
		}
		tokens = tokens[n:]
		n = min(len(slots), alivePart)
		for _, s := range slots[:n] {
			part.Slots = append(part.Slots, &ldlmv2.SlotState{Slot: s.Slot, Seq: s.Seq, Waiting: s.Waiting})
		}
		slots = slots[n:]
		last = len(tokens) == 0 && len(slots) == 0
		part.Last = last
		c.send(&ldlmv2.ServerFrame{Alive: part})
	}
}
