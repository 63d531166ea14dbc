package sessionapi_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/node"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

// below is a node as the package wants it.
type below struct{ *node.Node }

func (n below) Attach(ctx context.Context, open *lock.Open) (sessionapi.Link, lock.Outcome, error) {
	return adapt(n.Node.Attach(ctx, open))
}

func (n below) Resume(ctx context.Context, resume *lock.Resume) (sessionapi.Link, lock.Outcome, error) {
	return adapt(n.Node.Resume(ctx, resume))
}

func (n below) NewRound() sessionapi.Round { return round{n.Node.NewRound()} }

type round struct{ *node.Round }

func (r round) Add(l sessionapi.Link, commands []lock.Command) {
	r.Round.Add(l.(*link).Link, commands)
}

func (r round) Submit(ctx context.Context, done func(i int, err error)) {
	r.Round.Submit(ctx, func(i int, err error) { done(i, refused(err)) })
}

func adapt(l *node.Link, o lock.Outcome, err error) (sessionapi.Link, lock.Outcome, error) {
	if l == nil {
		return nil, o, refused(err)
	}
	return &link{Link: l}, o, nil
}

// refused gives errors after which nothing happened the package's name too.
func refused(err error) error {
	if errors.Is(err, journal.ErrRefused) {
		return fmt.Errorf("%w: %w", sessionapi.ErrRefused, err)
	}
	return err
}

type link struct {
	*node.Link
	box    []node.Notice
	notice sessionapi.Notice
}

func (l *link) Submit(ctx context.Context, commands []lock.Command) error {
	return refused(l.Link.Submit(ctx, commands))
}

var kinds = map[node.NoticeKind]sessionapi.NoticeKind{
	node.Answer: sessionapi.Answer, node.Lost: sessionapi.Lost, node.Revoked: sessionapi.Revoked,
}

func (l *link) Take(each func(*sessionapi.Notice)) {
	l.box = l.Link.Take(l.box[:0])
	for i := range l.box {
		n := &l.box[i]
		kind, ok := kinds[n.Kind]
		if !ok {
			continue // the end of the session is told by Ended
		}
		l.notice = sessionapi.Notice{
			Kind: kind, Reason: n.Reason, Slot: n.Slot, Seq: n.Seq, Name: n.Name, Token: n.Token, Outcome: &n.Outcome,
		}
		each(&l.notice)
	}
}

func (l *link) Why() (lock.Code, lock.EndReason) {
	err := l.Reason()
	var ended *node.SessionEndedError
	switch {
	case errors.As(err, &ended):
		return lock.SessionLost, ended.Reason
	case errors.Is(err, node.ErrSuperseded):
		return lock.Superseded, lock.NotEnded
	default:
		return lock.MemberEnded, lock.NotEnded
	}
}
