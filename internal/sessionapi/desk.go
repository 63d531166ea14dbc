package sessionapi

import (
	"context"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// desk is where a poller serves many conversations, one at a time. What a
// conversation needs only while it has its turn lies there once.
type desk struct {
	poller *wire.Poller
	// Owned by the poller's goroutine.
	frame *ldlmv2.ClientFrame
	batch *batch
}

// newDesks makes the desks that there are to be; none where whoever submits waits.
func newDesks(config *Config) []*desk {
	if !config.Immediate {
		return nil
	}
	var desks []*desk
	for range config.Pollers {
		desks = append(desks, &desk{poller: wire.NewPoller(config.Spin), frame: new(ldlmv2.ClientFrame), batch: &batch{}})
	}
	return desks
}

// seat gives a conversation that is open a desk, by turns. It reports false if
// there is none for it; else over is called when the conversation is over.
func (s *Server) seat(ctx context.Context, c *conversation, conn *wire.Conn, over func()) bool {
	if len(s.desks) == 0 {
		return false
	}
	d := s.desks[s.seated.Add(1)%uint64(len(s.desks))]
	g := &guest{conversation: c, desk: d, ctx: ctx, over: over}
	frame, b := c.frame, c.batch
	c.frame, c.batch = nil, nil
	if !d.poller.Adopt(conn, g) {
		c.frame, c.batch = frame, b
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
	// ctx is for commands, which wait for nothing.
	ctx  context.Context //nolint:containedctx // the one of Serve, which a poller has no way to pass
	over func()
}

// Readable does what has come asks for.
func (g *guest) Readable() {
	c := g.conversation
	c.frame, c.batch = g.desk.frame, g.desk.batch
	defer func() {
		g.desk.batch = c.batch
		c.frame, c.batch = nil, nil
	}()
	for !c.over.Load() && c.carrier.Buffered() {
		err := c.carrier.Receive(c.frame)
		if err != nil {
			c.failed(err)
		} else {
			err = c.take(g.ctx)
		}
		if err != nil {
			c.batch.reset()
			return
		}
		if c.batch.full() {
			c.carryOut(g.ctx)
		}
	}
	c.carryOut(g.ctx)
}

// Attend writes what comes of itself.
func (g *guest) Attend() { g.attend() }

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
		c.log.Info("connection ended", "reason", err)
	}()
}
