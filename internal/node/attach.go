package node

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// Attach opens a session, or finds the one that the same secret opened, for a
// connection to this process. The incarnation is filled in. The link is nil if
// the outcome is not OK; its errors are those of Call. What cannot be known is
// asked again until ctx ends; a session that came to life meanwhile is then
// detached in the background.
func (n *Node) Attach(ctx context.Context, open *lock.Open) (*Link, lock.Outcome, error) {
	return n.attach(ctx, func(in lock.Incarnation) lock.Command {
		c := *open
		c.Incarnation, c.Info = in, n.bounded(open.Info)
		return &c
	})
}

// Resume attaches a session to a new connection to this process. Its older link
// ends. Otherwise it is as Attach.
func (n *Node) Resume(ctx context.Context, resume *lock.Resume) (*Link, lock.Outcome, error) {
	return n.attach(ctx, func(in lock.Incarnation) lock.Command {
		c := *resume
		c.Incarnation, c.Info = in, n.bounded(resume.Info)
		return &c
	})
}

// bounded gives the description of a principal its quota.
func (n *Node) bounded(i *lock.Info) *lock.Info {
	if n.cfg.Quota == nil || i == nil || i.Principal == "" {
		return i
	}
	q := n.cfg.Quota(i.Principal)
	if q == nil || n.settings().Format < lock.LimitsFormat {
		return i
	}
	c := *i
	c.Quota = q
	return &c
}

// attach proposes a command that attaches a session to the present incarnation. It goes out
// behind a beat if none was taken lately, so that the member does not end right afterwards for
// not having beaten while nobody was attached.
func (n *Node) attach(ctx context.Context, command func(lock.Incarnation) lock.Command) (*Link, lock.Outcome, error) {
	if err := n.notYet(); err != nil {
		return nil, lock.Outcome{}, err
	}
	inDoubt := false
	for r := (retry{}); ; {
		in, beat := n.beatIfDue()
		b := newBatch(append(beat, command(in))...)
		b.joins = newLink(n)
		err := n.propose(ctx, b)
		inDoubt = inDoubt || errors.Is(err, journal.ErrUnknown)
		if err == nil {
			o := b.outcomes[len(beat)]
			switch o.Code {
			case lock.MemberEnded:
				if o, err := n.join(ctx, in); err != nil || o.Code != lock.OK {
					return nil, o, err
				}
				continue
			case lock.OK:
				return b.joins, o, nil
			default:
				return nil, o, nil
			}
		}
		n.disown(b)
		switch {
		case n.Err() != nil || !inDoubt:
			return nil, lock.Outcome{}, err
		case r.pause(ctx, n):
		case n.Err() != nil:
			return nil, lock.Outcome{}, n.Err()
		default:
			return nil, lock.Outcome{}, unknown(ctx.Err())
		}
	}
}

// disown gives a batch up whose outcome is not known. If it has made a link
// nevertheless, that is detached; if it does so later, Apply sees to it.
func (n *Node) disown(b *batch) {
	n.mu.Lock()
	b.disowned = true
	for _, part := range b.parts {
		part.disowned = true
	}
	l := b.joins
	live := l != nil && n.links[l.session] == l
	n.mu.Unlock()
	if live {
		l.Detach(0, false)
	}
}

// Incarnation returns the present incarnation of this member.
func (n *Node) Incarnation() lock.Incarnation {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.incarnation
}

// beatNow makes the next beat of the present incarnation.
func (n *Node) beatNow() (lock.Incarnation, *lock.Beat) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.incarnation, n.nextBeat()
}

// beatIfDue makes the next beat, alone in a list, or none while others are attached, for whom the
// member beats, and more than half of the lease is left.
func (n *Node) beatIfDue() (lock.Incarnation, []lock.Command) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.links) > 0 && n.lease.left() > n.lease.length/2 {
		return n.incarnation, nil
	}
	return n.incarnation, []lock.Command{n.nextBeat()}
}

// nextBeat is called with mu held.
func (n *Node) nextBeat() *lock.Beat {
	n.beat++
	n.lease.sendNow(n.beat)
	return &lock.Beat{Incarnation: n.incarnation, Number: n.beat}
}

// join begins a new incarnation, unless somebody has since the one that the
// caller knows. Where nobody else could have taken this member's place, an earlier life is
// certainly over; elsewhere a copy of this command may come late, and end that of
// another process of the same name.
func (n *Node) join(ctx context.Context, known lock.Incarnation) (lock.Outcome, error) {
	select {
	case n.joining <- struct{}{}:
	case <-ctx.Done():
		return lock.Outcome{}, refused(ctx.Err())
	}
	defer func() { <-n.joining }()
	if in := n.Incarnation(); in != known {
		return lock.Outcome{Incarnation: in}, nil
	}
	o, err := n.ask(ctx, &lock.Join{Member: n.cfg.Member, SameDirectory: n.alone()})
	if err != nil || o.Code != lock.OK {
		return o, err
	}
	n.mu.Lock()
	n.incarnation, n.beat, n.lease = o.Incarnation, 0, memberLease{}
	n.mu.Unlock()
	level := slog.LevelInfo
	if known != 0 {
		level = slog.LevelDebug // whenever somebody comes after a pause
	}
	n.log.Log(ctx, level, "joined", "member", n.cfg.Member, "incarnation", o.Incarnation)
	return o, nil
}

// linked reports whether any session is attached by a live link.
func (n *Node) linked() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.links) > 0
}

// runBeater renews the member's lease while any session is attached. It sleeps
// without a timer while none is.
func (n *Node) runBeater() {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-n.wakeBeater:
		case <-n.ctx.Done():
			return
		}
		for n.linked() {
			t.Reset(n.cfg.BeatEvery)
			n.beatOnce()
			select {
			case <-t.C:
			case <-n.ctx.Done():
				return
			}
		}
	}
}
