package sessionapi

import (
	"context"
	"log/slog"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// desk is where a poller serves many conversations, one at a time. What a
// conversation needs only while it has its turn lies there once. What several of them
// ask in one turn of the poller goes to the node together, as one entry.
type desk struct {
	poller *wire.Poller
	// All that follows is owned by the poller's goroutine.

	// frames are to be read into; more than one once a frame was paused.
	frames []*ldlmv2.ClientFrame
	// round is what waiting have asked, in commands commands that keep bytes alive, and
	// the node was not yet; spare are batches for more.
	round           Round
	waiting         []*guest
	commands, bytes int
	spare           []*batch
	// done is submitted, made once.
	done func(i int, err error)
}

// newDesks makes the desks that there are to be; none where whoever submits waits.
func newDesks(config *Config) []*desk {
	if !config.Immediate {
		return nil
	}
	var desks []*desk
	for range config.Pollers {
		d := &desk{round: config.Node.NewRound()}
		d.done, d.poller = d.submitted, wire.NewPoller(config.Spin, d.submit)
		desks = append(desks, d)
	}
	return desks
}

// frame returns a frame to read into.
func (d *desk) frame() *ldlmv2.ClientFrame {
	n := len(d.frames) - 1
	if n < 0 {
		return new(ldlmv2.ClientFrame)
	}
	f := d.frames[n]
	d.frames = d.frames[:n]
	return f
}

// takeBackFrame takes a frame back that is not paused.
func (d *desk) takeBackFrame(f *ldlmv2.ClientFrame) {
	const kept = 4
	if len(d.frames) < kept {
		d.frames = append(d.frames, f)
	}
}

// batch returns an empty batch.
func (d *desk) batch() *batch {
	n := len(d.spare) - 1
	if n < 0 {
		return &batch{}
	}
	b := d.spare[n]
	d.spare[n], d.spare = nil, d.spare[:n]
	return b
}

// takeBack takes a batch back that is not needed any more.
func (d *desk) takeBack(b *batch) {
	const kept = 128
	if b.reset(); len(d.spare) < kept {
		d.spare = append(d.spare, b)
	}
}

// add has what a guest asks go to the node with the next submit. Together they ask no
// more than one alone may.
func (d *desk) add(g *guest, b *batch) {
	if d.commands+len(b.commands) > maxBatchCommands || d.bytes+b.bytes > maxBatchBytes {
		d.submit()
	}
	g.asked = b
	d.commands += len(b.commands)
	d.bytes += b.bytes
	d.waiting = append(d.waiting, g)
	d.round.Add(g.link, b.commands)
}

// submit has done what was asked.
func (d *desk) submit() {
	if len(d.waiting) == 0 {
		return
	}
	d.round.Submit(context.Background(), d.done) // waits for nothing
	clear(d.waiting)
	d.waiting, d.commands, d.bytes = d.waiting[:0], 0, 0
}

// submitted says what has come of what one of those waiting has asked.
func (d *desk) submitted(i int, err error) {
	g := d.waiting[i]
	b := g.asked
	g.asked = nil
	if g.conversation.submitted(b.commands, err) {
		d.takeBack(b)
	}
}

// seat gives a conversation that is open a desk, by turns. It reports false if
// there is none for it; else over is called when the conversation is over.
func (s *Server) seat(ctx context.Context, c *conversation, conn *wire.Conn, over func()) bool {
	if len(s.desks) == 0 {
		return false
	}
	d := s.desks[s.seated.Add(1)%uint64(len(s.desks))]
	g := &guest{conversation: c, desk: d, conn: conn, ctx: ctx, over: over}
	frame, b := c.frame, c.batch
	c.frame, c.batch, c.yields = nil, nil, true
	if !d.poller.Adopt(conn, g) {
		c.frame, c.batch, c.yields = frame, b, false
		return false
	}
	c.link.Notify(c.late.rouse)
	c.late.startElsewhere(conn.Rouse)
	c.life.watch(c.look)
	return true
}

// guest is a conversation at a desk, as the poller sees it.
type guest struct {
	*conversation
	desk *desk
	conn *wire.Conn
	// ctx is for what waits for nothing.
	ctx  context.Context //nolint:containedctx // the one of Serve, which a poller has no way to pass
	over func()
	// unread is the frame that is paused, if one is.
	unread *ldlmv2.ClientFrame
	// asked is what waits at the desk to be submitted, if something does.
	asked *batch
}

// Readable takes in what has come, until a batch is full, for then it is the others'
// turn, and what that is answered has to be taken before there is more. It is carried
// out together with what others have asked, and the answer is written, by Attend, when
// everybody's questions are read: so those who wait for answers are woken up together,
// and have their next questions there together.
func (g *guest) Readable() (unread bool) {
	c := g.conversation
	if g.asked != nil {
		g.desk.submit() // one after the other
	}
	if rest := c.takeRest(); rest > 0 {
		g.conn.Rest(rest)
		return g.hasMore()
	}
	g.sit()
	defer g.rise()
	for g.hasMore() {
		if g.one() != nil {
			c.batch.reset()
			return false
		}
		if c.full() {
			break
		}
	}
	c.late.rouse()
	return g.hasMore()
}

// hasMore reports whether something was read that was not asked yet.
func (g *guest) hasMore() bool {
	return !g.conversation.over.Load() && (g.paused || g.carrier.Buffered())
}

// sit takes what lies on the desk, rise puts it back. A frame that is paused goes
// along.
func (g *guest) sit() {
	c := g.conversation
	c.batch = g.desk.batch()
	if c.paused {
		c.frame, g.unread = g.unread, nil
	} else {
		c.frame = g.desk.frame()
	}
}

func (g *guest) rise() {
	c := g.conversation
	if c.paused {
		g.unread = c.frame
	} else {
		g.desk.takeBackFrame(c.frame)
	}
	b := c.batch
	c.frame, c.batch = nil, nil
	if len(b.commands) > 0 {
		g.desk.add(g, b)
	} else {
		g.desk.takeBack(b)
	}
}

// one takes in one frame, or goes on with one. An error ends the connection.
func (g *guest) one() error {
	c := g.conversation
	if !c.paused {
		if err := c.carrier.Receive(c.frame); err != nil {
			c.failed(err)
			return err
		}
	}
	return c.take(g.ctx)
}

// Attend writes what was asked for and what comes of itself.
func (g *guest) Attend() {
	g.desk.submit()
	g.attend()
}

// Over reports the end.
func (g *guest) Over(err error) {
	c := g.conversation
	if c.over.Load() {
		err = errEnded
	}
	c.report()
	go func() { // others may still look at it
		defer g.over()
		c.workers.Wait()
		c.life.wait()
		c.server.leave(c)
		c.note(slog.LevelInfo, "connection ended", "reason", err)
	}()
}
