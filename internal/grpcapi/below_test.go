package grpcapi_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ldlm-io/ldlm/internal/grpcapi"
	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/node"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

// below is a node as grpcapi wants it.
type below struct{ *node.Node }

func (b below) Attach(ctx context.Context, open *lock.Open) (grpcapi.Link, lock.Outcome, error) {
	l, o, err := b.Node.Attach(ctx, open)
	if l == nil {
		return nil, o, err
	}
	return l, o, err
}

func (b below) Watch(name, prefix string, after uint64) (grpcapi.Watch, error) {
	w, err := b.Node.Watch(node.WatchFilter{Name: name, Prefix: prefix}, after)
	if err != nil {
		return nil, missed(err)
	}
	return watch{w}, nil
}

func (b below) Recent(name string, most int, each func(*lock.Event, time.Time)) {
	events := b.Node.Recent(name, most)
	for i := range events {
		each(&events[i].Event, events[i].Wall)
	}
}

type watch struct{ *node.Watch }

func (w watch) Next(ctx context.Context, each func(*lock.Event, time.Time)) error {
	events, err := w.Watch.Next(ctx)
	for i := range events {
		each(&events[i].Event, events[i].Wall)
	}
	return missed(err)
}

func missed(err error) error {
	if errors.Is(err, node.ErrReset) {
		return errors.Join(grpcapi.ErrReset, err)
	}
	return err
}

// belowSessions is a node as sessionapi wants it.
type belowSessions struct{ *node.Node }

func (b belowSessions) Attach(ctx context.Context, open *lock.Open) (sessionapi.Link, lock.Outcome, error) {
	l, o, err := b.Node.Attach(ctx, open)
	if l == nil {
		return nil, o, refused(err)
	}
	return &link{Link: l}, o, nil
}

func (b belowSessions) Resume(ctx context.Context, resume *lock.Resume) (sessionapi.Link, lock.Outcome, error) {
	l, o, err := b.Node.Resume(ctx, resume)
	if l == nil {
		return nil, o, refused(err)
	}
	return &link{Link: l}, o, nil
}

func (belowSessions) NewRound() sessionapi.Round { return nil } // there are no pollers

func refused(err error) error {
	if errors.Is(err, journal.ErrRefused) {
		return fmt.Errorf("%w: %w", sessionapi.ErrRefused, err)
	}
	return err
}

// link is a node's link as sessionapi wants it.
type link struct {
	*node.Link
	taken []node.Notice
	told  sessionapi.Notice
}

func (l *link) Submit(ctx context.Context, commands []lock.Command) error {
	return refused(l.Link.Submit(ctx, commands))
}

func (l *link) Take(each func(*sessionapi.Notice)) {
	l.taken = l.Link.Take(l.taken[:0])
	for i := range l.taken {
		n := &l.taken[i]
		l.told = sessionapi.Notice{
			Reason: n.Reason, Slot: n.Slot, Seq: n.Seq, Name: n.Name, Token: n.Token, Outcome: &n.Outcome,
		}
		switch n.Kind {
		case node.Answer:
			l.told.Kind = sessionapi.Answer
		case node.Lost:
			l.told.Kind = sessionapi.Lost
		case node.Revoked:
			l.told.Kind = sessionapi.Revoked
		default:
			continue
		}
		each(&l.told)
	}
}

func (l *link) Why() (lock.Code, lock.EndReason) {
	var ended *node.SessionEndedError
	switch err := l.Reason(); {
	case errors.As(err, &ended):
		return lock.SessionLost, ended.Reason
	case errors.Is(err, node.ErrSuperseded):
		return lock.Superseded, lock.NotEnded
	default:
		return lock.MemberEnded, lock.NotEnded
	}
}
