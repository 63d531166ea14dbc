package sessionapi

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/clock"
	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// conversation is one connection of one client, from hello to its end.
//
//	             listen                       attend, when roused
//	client -> Receive -> commands -> Submit     |  by the link: grants, losses, its end
//	             |          |                   |  by the server: who leads, go away
//	             |          +- answers          |
//	             v                              v
//	          flush: take what gathered, one frame -> Send -> client
//
// One goroutine belongs to it as long as it lasts, the one that called Serve. It
// reads, submits what has come and writes the answers by itself, so that a
// request costs no change of goroutines. What comes of itself is written by a
// second one that lives while there is something to write. If the node may have
// to wait for disk or network, a third one does what the first does elsewhere, and
// the first waits; if the third is held by the node for long, a fourth goes on
// reading; see [relay]. Whoever writes has the turn, and a client that does not take what is
// written stops whoever reads from it: what gathers for it is bounded. A timer
// watches for clients that fall silent.
//
// A conversation that has a desk has no goroutine after hello: the poller's does all of
// this, by turns; see [guest].
type conversation struct {
	server  *Server
	carrier Carrier

	// Set by greet, constant afterwards.
	link   Link
	ttl    time.Duration
	caller lock.Caller // of all commands, but for slot and seq
	// pass is the client's, leavePass stops watching it; leavePlace counts the
	// connection out.
	pass                  *auth.Pass
	leavePass, leavePlace func()

	// Owned by the goroutine that reads. A conversation that has a desk has neither
	// while it has no turn there.
	frame *ldlmv2.ClientFrame
	batch *batch
	// closing: the client has asked for the end of its session.
	closing bool
	// yields: others are to have their turn when a batch is full, also within a
	// frame. Then the frame at hand is paused, and next is its first operation
	// that was not asked yet.
	yields, paused bool
	next           int

	// over: the last words are said or never will be; what still comes is ignored.
	over atomic.Bool
	// reason is why this side cuts the connection, if it does.
	reason atomic.Pointer[ldlmv2.Status]
	// unreadUntil is until when nothing is to be read; nil if all is.
	unreadUntil atomic.Pointer[time.Time]
	life        life
	news        news
	late        late

	submitting submissions
	relay      *relay // nil where the node waits for nothing
	workers    sync.WaitGroup

	turn turn // had while writing
	writing
}

// turn is a mutex that may be held for long: whoever waits for it waits on a
// channel, which fake time does not take for being busy.
type turn chan struct{}

func newTurn() turn      { return make(turn, 1) }
func (t turn) take()     { t <- struct{}{} }
func (t turn) giveBack() { <-t }

func newConversation(s *Server, carrier Carrier) *conversation {
	c := &conversation{
		server: s, carrier: carrier, frame: new(ldlmv2.ClientFrame), batch: &batch{}, turn: newTurn(),
	}
	c.takeNotice, c.late.attend, c.leavePlace = c.add, c.attend, func() {}
	c.places.rouse = c.late.rouse
	return c
}

// note logs a line about the conversation. What is said of its client each time is not
// gathered, nor kept, for lines that nobody wants.
func (c *conversation) note(level slog.Level, msg string, attrs ...any) {
	log, ctx := c.server.log, c.server.ending
	if !log.Enabled(ctx, level) {
		return
	}
	about := []any{"remote", c.carrier.Remote(), "transport", c.carrier.Transport()}
	if c.link != nil {
		about = append(about, "session", uint64(c.caller.Session), "attach", c.caller.Attach)
		if name := c.pass.Principal().Name; name != "" {
			about = append(about, "principal", name)
		}
	}
	log.Log(ctx, level, msg, append(about, attrs...)...)
}

// open has the client say hello. An error means that there is no session; then the
// connection has had its last words.
func (c *conversation) open(ctx context.Context) error {
	status, err := c.greet(ctx)
	if c.link == nil {
		c.leavePlace()
	}
	auth.Rest(c.server.ending, c.owedRest()) //nolint:contextcheck // this one is of the server
	if c.link != nil {
		return nil
	}
	c.note(slog.LevelDebug, "no session", "error", err)
	if status != nil {
		c.end(status)
		c.outlast()
	}
	return err
}

// hold holds a conversation that is open until the connection has ended.
func (c *conversation) hold(ctx context.Context) error {
	defer c.server.leave(c)
	ctx, cancel := context.WithCancel(ctx)
	c.link.Notify(c.late.rouse)
	c.late.start()
	c.life.watch(c.look)
	err := c.readAll(ctx)
	c.report()
	cancel()
	if !c.over.Load() {
		c.carrier.Close()
	}
	c.outlast()
	c.carrier.Close()
	c.awaitWorkers()
	c.late.wait()
	c.life.wait()
	c.note(slog.LevelInfo, "connection ended", "reason", err)
	return err
}

// readAll reads until the connection ends, or has to, and returns why. Where the node may
// have to wait, others read, who may be held there for ever.
func (c *conversation) readAll(ctx context.Context) error {
	if c.server.config.Immediate {
		return c.listen(ctx)
	}
	ctx = journal.Lend(ctx)
	read := func() {
		if err := c.listen(ctx); !errors.Is(err, errRelieved) {
			c.relay.finish(err)
		}
	}
	c.relay = newRelay(func() { c.workers.Go(read) })
	c.relay.start()
	<-c.relay.ended
	return c.relay.err
}

// awaitWorkers waits for the other goroutines, unless the node has failed.
func (c *conversation) awaitWorkers() {
	if c.relay == nil {
		return
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.workers.Wait()
	}()
	select {
	case <-ended:
	case <-c.server.config.Failed:
	}
}

// report reports the end of the connection, before anything is waited for.
func (c *conversation) report() {
	c.life.end()
	c.late.end()
	c.detach(c.carrier.PeerEnded() && !c.news.toldToGo())
}

// detach reports the end of the connection to the node.
func (c *conversation) detach(byClient bool) { c.link.Detach(c.life.leave(), byClient) }

// outlast reads and forgets what the client still sends after the last words,
// so that it gets to read them; the carrier sees to it that this has an end.
func (c *conversation) outlast() {
	for c.over.Load() && c.carrier.Receive(c.frame) == nil {
	}
}

// listen reads frames and does what they ask until the connection ends, or has
// to. What is read without waiting goes to the node together.
func (c *conversation) listen(ctx context.Context) error {
	for {
		if err := c.take(ctx); err != nil {
			return err
		}
		if !c.carrier.Buffered() || c.full() {
			if !c.carryOutHere(ctx) {
				return errRelieved
			}
			auth.Rest(ctx, c.takeRest())
		}
		err := c.carrier.Receive(c.frame)
		switch {
		case c.over.Load():
			return errEnded
		case err != nil:
			c.failed(err)
			return err
		}
	}
}

// takeRest returns for how long nothing is to be read from now on, and forgets that.
func (c *conversation) takeRest() time.Duration {
	rest := c.owedRest()
	if rest == 0 {
		return 0
	}
	return max(0, min(rest, c.mayRest()))
}

// mayRest is how long a rest may be. The keep-alive of a client of which nothing was heard
// for long may lie behind what was not read yet, and so may many rests: then each of them
// takes a part of what is left until the client would be given up. Without any rest,
// being late would be a way around them.
func (c *conversation) mayRest() time.Duration {
	const part = 16
	silent := c.life.silent()
	return max(c.ttl/3-silent, (c.ttl/2-silent)/part)
}

// take takes in the frame at hand. An error ends the connection.
func (c *conversation) take(ctx context.Context) error {
	s := c.read(ctx)
	if c.paused {
		return nil
	}
	wire.ForgetClient(c.frame)
	if s == nil {
		return nil
	}
	c.cut(s, false)
	return errorOf(s)
}

// cut ends the connection from this side, for a reason that is said: also by attend, which
// may learn of the end of the link before it is said here.
func (c *conversation) cut(s *ldlmv2.Status, byClient bool) {
	c.reason.Store(s)
	c.detach(byClient)
	c.end(s)
}

// failed reports that reading has failed, to the node and, if it was the client's
// mistake, to the client.
func (c *conversation) failed(err error) {
	byClient := c.carrier.PeerEnded() && !c.news.toldToGo()
	if s := statusOfReceive(err); s != nil {
		c.cut(s, byClient)
		return
	}
	c.detach(byClient)
}

var errEnded = errors.New("the conversation was ended from this side")

// read takes in what the frame at hand asks, or has still to ask. A status ends the
// connection.
func (c *conversation) read(ctx context.Context) *ldlmv2.Status {
	f := c.frame
	switch {
	case c.closing:
		return nil // nothing follows the end; who has said so need not be told
	case f.GetHello() != nil:
		return NewStatus(ldlmv2.Code_CODE_PROTOCOL, "hello came twice; it is said once, in the first frame of a connection")
	}
	if !c.paused {
		c.batch.frames++
		if k := f.GetKeepAlive(); k != nil {
			c.life.heard(k.GetNumber(), clock.Now())
		}
	}
	if c.paused = !c.askAll(ctx, f.GetOps()); c.paused {
		return nil
	}
	if f.GetClose() != nil {
		c.closing = true
		c.life.close()
		c.batch.addClose(c.caller)
	}
	return nil
}

// full reports whether what was read is enough for one batch.
func (c *conversation) full() bool {
	return c.batch.full() || c.yields && len(c.batch.commands) >= maxTurnCommands
}

// askAll takes in the operations of the frame at hand that were not yet. It reports
// whether those are all.
func (c *conversation) askAll(ctx context.Context, ops []*ldlmv2.Op) bool {
	for ; c.next < len(ops); c.next++ {
		if c.full() {
			if c.yields {
				return false
			}
			c.carryOut(ctx)
		}
		c.ask(ops[c.next])
	}
	c.next = 0
	return true
}

// carryOut has done what was read, and answers what can be answered now.
func (c *conversation) carryOut(ctx context.Context) {
	if c.begin(ctx) {
		c.workers.Go(func() { c.submitAll(ctx) })
	}
}

// carryOutHere is carryOut by the goroutine that reads, and nothing of the frame at hand is
// left. It reports false if another one reads by now.
func (c *conversation) carryOutHere(ctx context.Context) bool {
	if !c.begin(ctx) {
		return true
	}
	turn := c.relay.begin()
	c.submitAll(ctx)
	return c.relay.end(turn)
}

// begin has done what waits for nothing. It reports true if the caller is to see to it that
// the rest is submitted.
func (c *conversation) begin(ctx context.Context) bool {
	b := c.batch
	if len(b.commands) == 0 || c.relay == nil {
		c.submitBatch(ctx)
		c.flush()
		return false
	}
	c.batch = c.submitting.enqueue(b)
	if c.life.unanswered() {
		c.flush()
	}
	return c.submitting.start()
}

// submitBatch has done what was read, where that waits for nothing.
func (c *conversation) submitBatch(ctx context.Context) {
	b := c.batch
	if len(b.commands) == 0 || c.submit(ctx, b.commands) {
		b.reset()
	} else {
		c.batch = &batch{}
	}
}

// attend writes what comes of itself, the end included.
func (c *conversation) attend() {
	c.flush()
	select {
	case <-c.link.Ended():
		c.end(c.statusOfEnd())
	default:
	}
}

// statusOfEnd says why the link has ended.
func (c *conversation) statusOfEnd() *ldlmv2.Status {
	if s := c.reason.Load(); s != nil {
		return s
	}
	code, why := c.link.Why()
	switch {
	case code == lock.SessionLost && why == lock.SessionClosed && c.life.closing():
		return NewStatus(ldlmv2.Code_CODE_OK, "the session is closed, as asked")
	case code == lock.SessionLost:
		s := NewStatus(ldlmv2.Code_CODE_SESSION_LOST, "the session has ended: "+reason(why)+"; open a new one, its locks are lost")
		s.Ended = EndReasonOf(why)
		return s
	case code == lock.Superseded:
		return NewStatus(ldlmv2.Code_CODE_SUPERSEDED, "the session has a newer connection; this one is closed")
	default:
		return NewStatus(ldlmv2.Code_CODE_UNAVAILABLE, "this server cannot vouch for the session any more; resume it, here or elsewhere")
	}
}

// look is called when the client may have fallen silent. Who has is given up:
// the node is told how long it was silent, and the connection is cut.
func (c *conversation) look() {
	if !c.life.look(c.ttl) {
		return
	}
	c.note(slog.LevelInfo, "giving up a silent client", "silent", c.life.silent())
	c.cut(NewStatus(ldlmv2.Code_CODE_UNAVAILABLE, "no keep-alive came for half of the session's ttl; resume the session"), false)
}

// errorOf makes an error of a status, for logs.
func errorOf(s *ldlmv2.Status) error {
	return &sentAwayError{code: s.GetCode(), message: s.GetMessage()}
}

// sentAwayError says with what a client was sent away.
type sentAwayError struct {
	code    ldlmv2.Code
	message string
}

func (e *sentAwayError) Error() string { return e.code.String() + ": " + e.message }

// statusOfReceive says what was wrong with what came; nil if nothing came.
func statusOfReceive(err error) *ldlmv2.Status {
	var bad *wire.FrameError
	if !errors.As(err, &bad) {
		return nil
	}
	s := NewStatus(ldlmv2.Code_CODE_PROTOCOL, bad.Error())
	s.Field, s.Limit = bad.Field, bad.Limit
	return s
}

// statusOfError says how a command ended that came to no outcome.
func statusOfError(err error) *ldlmv2.Status {
	if errors.Is(err, journal.ErrDiskFull) {
		return NewStatus(ldlmv2.Code_CODE_UNAVAILABLE, DiskFull)
	}
	if errors.Is(err, ErrRefused) {
		return NewStatus(ldlmv2.Code_CODE_UNAVAILABLE, "the server cannot serve now, nothing happened; ask again, here or elsewhere")
	}
	return NewStatus(ldlmv2.Code_CODE_UNKNOWN_OUTCOME, "the server could not learn the outcome in time; ask again under the same slot and seq")
}
