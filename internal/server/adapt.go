package server

import (
	"context"
	"errors"
	"time"

	"github.com/ldlm-io/ldlm/internal/grpcapi"
	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/node"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

// The packages that speak to clients see the node through interfaces of their
// own, and do not know it. Here is what makes it fit.

// belowSessions is a node as sessionapi wants it.
type belowSessions struct{ *node.Node }

// Attach implements [sessionapi.Node].
func (n belowSessions) Attach(ctx context.Context, open *lock.Open) (sessionapi.Link, lock.Outcome, error) {
	return linkOf(n.Node.Attach(ctx, open))
}

// Resume implements [sessionapi.Node].
func (n belowSessions) Resume(ctx context.Context, resume *lock.Resume) (sessionapi.Link, lock.Outcome, error) {
	return linkOf(n.Node.Resume(ctx, resume))
}

// NewRound implements [sessionapi.Node].
func (n belowSessions) NewRound() sessionapi.Round {
	r := &round{Round: n.Node.NewRound()}
	r.told = func(i int, err error) { r.done(i, refused(err)) }
	return r
}

// round is a round as sessionapi wants it.
type round struct {
	*node.Round
	// done is who is told by a Submit, by told, which is made once.
	done, told func(i int, err error)
}

// Add implements [sessionapi.Round].
func (r *round) Add(l sessionapi.Link, commands []lock.Command) {
	r.Round.Add(l.(*sessionLink).Link, commands)
}

// Submit implements [sessionapi.Round].
func (r *round) Submit(ctx context.Context, done func(i int, err error)) {
	r.done = done
	r.Round.Submit(ctx, r.told)
}

func linkOf(l *node.Link, o lock.Outcome, err error) (sessionapi.Link, lock.Outcome, error) {
	if l == nil {
		return nil, o, refused(err)
	}
	return &sessionLink{Link: l}, o, nil
}

// refused gives an error after which nothing has happened sessionapi's name too. Its text
// says so already.
func refused(err error) error {
	if errors.Is(err, journal.ErrRefused) {
		return &refusedError{err}
	}
	return err
}

// refusedError is an error of the journal that is sessionapi.ErrRefused too.
type refusedError struct{ err error }

func (e *refusedError) Error() string   { return e.err.Error() }
func (e *refusedError) Unwrap() []error { return []error{sessionapi.ErrRefused, e.err} }

// sessionLink is a link as sessionapi wants it.
type sessionLink struct {
	*node.Link
	// taken and notice belong to Take, and save its allocations.
	taken  []node.Notice
	notice sessionapi.Notice
}

// Submit implements [sessionapi.Link].
func (l *sessionLink) Submit(ctx context.Context, commands []lock.Command) error {
	return refused(l.Link.Submit(ctx, commands))
}

// Take implements [sessionapi.Link].
func (l *sessionLink) Take(each func(*sessionapi.Notice)) {
	l.taken = l.Link.Take(l.taken[:0])
	for i := range l.taken {
		n := &l.taken[i]
		kind := sessionapi.Answer
		switch n.Kind {
		case node.Answer:
		case node.Lost:
			kind = sessionapi.Lost
		case node.Revoked:
			kind = sessionapi.Revoked
		case node.SessionEnd:
			continue // told by Ended and Why
		}
		l.notice = sessionapi.Notice{
			Kind: kind, Reason: n.Reason, Slot: n.Slot, Seq: n.Seq, Name: n.Name, Token: n.Token, Outcome: &n.Outcome,
		}
		each(&l.notice)
	}
}

// Why implements [sessionapi.Link].
func (l *sessionLink) Why() (lock.Code, lock.EndReason) {
	err := l.Reason()
	ended := (*node.SessionEndedError)(nil)
	switch {
	case errors.As(err, &ended):
		return lock.SessionLost, ended.Reason
	case errors.Is(err, node.ErrSuperseded):
		return lock.Superseded, lock.NotEnded
	default:
		return lock.MemberEnded, lock.NotEnded
	}
}

// belowGRPC is a node as grpcapi wants it: with interfaces where the node has
// types of its own.
type belowGRPC struct{ *node.Node }

// Attach implements [grpcapi.Node].
func (n belowGRPC) Attach(ctx context.Context, open *lock.Open) (grpcapi.Link, lock.Outcome, error) {
	link, o, err := n.Node.Attach(ctx, open)
	if link == nil {
		return nil, o, err
	}
	return link, o, err
}

// Watch implements [grpcapi.Node].
func (n belowGRPC) Watch(name, prefix string, after uint64) (grpcapi.Watch, error) {
	w, err := n.Node.Watch(node.WatchFilter{Name: name, Prefix: prefix}, after)
	if err != nil {
		return nil, missed(err)
	}
	return watch{w}, nil
}

// Recent implements [grpcapi.Node].
func (n belowGRPC) Recent(name string, most int, each func(*lock.Event, time.Time)) {
	events := n.Node.Recent(name, most)
	for i := range events {
		each(&events[i].Event, events[i].Wall)
	}
}

// watch is a watch as grpcapi wants it.
type watch struct{ *node.Watch }

// Next implements [grpcapi.Watch].
func (w watch) Next(ctx context.Context, each func(*lock.Event, time.Time)) error {
	events, err := w.Watch.Next(ctx)
	for i := range events {
		each(&events[i].Event, events[i].Wall)
	}
	return missed(err)
}

// missed gives an error that says that events were missed grpcapi's name too.
func missed(err error) error {
	if errors.Is(err, node.ErrReset) {
		return errors.Join(grpcapi.ErrReset, err)
	}
	return err
}
