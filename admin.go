package ldlm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

// Admin looks after the locks and sessions of everybody. Get it from
// [Client.Admin]. It is safe for concurrent use and needs no session.
//
// Its methods that change something are not repeated by themselves: if the
// error is an [ErrUnknownOutcome], look before you ask again.
type Admin struct{ client *Client }

// Admin returns the means to look after the locks of everybody.
func (c *Client) Admin() *Admin { return &Admin{client: c} }

// LockState selects locks.
type LockState uint8

// States of locks.
const (
	// AnyState selects all locks.
	AnyState LockState = iota
	// StateHeld selects locks that are held.
	StateHeld
	// StateContended selects locks that somebody waits for.
	StateContended
	// StateIdle selects locks that are neither held nor waited for.
	StateIdle
)

// ListOption is an option of [Admin.List].
type ListOption interface{ applyList(*ldlmv2.ListRequest) }

type listOption func(*ldlmv2.ListRequest)

func (f listOption) applyList(r *ldlmv2.ListRequest) { f(r) }

// WithPrefix lists only locks whose names begin so.
func WithPrefix(prefix string) ListOption {
	return listOption(func(r *ldlmv2.ListRequest) { r.Prefix = prefix })
}

// WithState lists only locks in that state.
func WithState(s LockState) ListOption {
	return listOption(func(r *ldlmv2.ListRequest) { r.State = ldlmv2.LockState(s) })
}

// pageSize is how many locks or sessions are asked for at a time.
const pageSize = 500

// List goes through the locks, in no order that means anything, page by page: it
// is not a picture of one moment. Each has at most 10 holders and 10 waiters;
// [Admin.Get] shows more. An error ends it, and comes with the last pair.
func (a *Admin) List(ctx context.Context, opts ...ListOption) iter.Seq2[LockInfo, error] {
	return func(yield func(LockInfo, error) bool) {
		request := &ldlmv2.ListRequest{Limit: pageSize}
		for _, o := range opts {
			o.applyList(request)
		}
		if err := checkText("list", "", "prefix", request.GetPrefix()); err != nil {
			yield(LockInfo{}, err)
			return
		}
		for {
			var page *ldlmv2.ListResponse
			err := a.client.anywhere(ctx, "list", "", func(ctx context.Context, stub ldlmv2.LDLMClient) (err error) {
				page, err = stub.List(ctx, request)
				return err
			})
			if err != nil {
				yield(LockInfo{}, err)
				return
			}
			for _, l := range page.GetLocks() {
				if !yield(lockInfoOf(l), nil) {
					return
				}
			}
			if request.Cursor = page.GetNextCursor(); request.Cursor == 0 {
				return
			}
		}
	}
}

// Get returns a lock with its holders and its queue; [ErrNotFound] if there is none.
func (a *Admin) Get(ctx context.Context, name string) (LockInfo, error) {
	var answer *ldlmv2.GetResponse
	err := a.client.anywhere(ctx, "get", name, func(ctx context.Context, stub ldlmv2.LDLMClient) (err error) {
		answer, err = stub.Get(ctx, &ldlmv2.GetRequest{Name: name})
		return err
	})
	if err != nil {
		return LockInfo{}, err
	}
	info := lockInfoOf(answer.GetLock())
	for _, e := range answer.GetEvents() {
		info.Events = append(info.Events, eventOf(e))
	}
	return info, nil
}

// Session returns a session with what it holds and waits for; [ErrNotFound] if
// there is none of that number.
func (a *Admin) Session(ctx context.Context, number uint64) (SessionInfo, error) {
	var answer *ldlmv2.GetSessionResponse
	err := a.client.anywhere(ctx, "get session", "", func(ctx context.Context, stub ldlmv2.LDLMClient) (err error) {
		answer, err = stub.GetSession(ctx, &ldlmv2.GetSessionRequest{Session: number})
		return err
	})
	if err != nil {
		return SessionInfo{}, err
	}
	info := sessionInfoOf(answer.GetSession())
	for _, h := range answer.GetHolds() {
		info.Held = append(info.Held, SessionHold{h.GetName(), holderOf(h.GetHolder())})
	}
	for _, w := range answer.GetWaits() {
		info.Waiting = append(info.Waiting, SessionWait{w.GetName(), waiterOf(w.GetWaiter())})
	}
	return info, nil
}

// Status asks a server how it is: the first of the client's addresses that answers.
func (a *Admin) Status(ctx context.Context) (ServerStatus, error) {
	var answer *ldlmv2.ServerStatusResponse
	err := a.client.anywhere(ctx, "status", "", func(ctx context.Context, stub ldlmv2.LDLMClient) (err error) {
		answer, err = stub.ServerStatus(ctx, &ldlmv2.ServerStatusRequest{})
		return err
	})
	if err != nil {
		return ServerStatus{}, err
	}
	return serverStatusOf(answer), nil
}

// Sessions goes through the sessions, in no order that means anything, page by
// page. An error ends it, and comes with the last pair.
func (a *Admin) Sessions(ctx context.Context) iter.Seq2[SessionInfo, error] {
	return func(yield func(SessionInfo, error) bool) {
		request := &ldlmv2.ListSessionsRequest{Limit: pageSize}
		for {
			var page *ldlmv2.ListSessionsResponse
			err := a.client.anywhere(ctx, "list sessions", "", func(ctx context.Context, stub ldlmv2.LDLMClient) (err error) {
				page, err = stub.ListSessions(ctx, request)
				return err
			})
			if err != nil {
				yield(SessionInfo{}, err)
				return
			}
			for _, s := range page.GetSessions() {
				if !yield(sessionInfoOf(s), nil) {
					return
				}
			}
			if request.Cursor = page.GetNextCursor(); request.Cursor == 0 {
				return
			}
		}
	}
}

// ForceOption is an option of [Admin.ForceRelease].
type ForceOption interface {
	applyForce(*ldlmv2.ForceReleaseRequest)
}

type forceOption func(*ldlmv2.ForceReleaseRequest)

func (f forceOption) applyForce(r *ldlmv2.ForceReleaseRequest) { f(r) }

// Gently tells the holder and waits for it to let go: the lock is free when it
// does, or when it must believe the lock lost. Without it the lock is free at
// once, and the holder may still believe in it.
func Gently() ForceOption {
	return forceOption(func(r *ldlmv2.ForceReleaseRequest) { r.Wait = true })
}

// Forced says what a forced release or the end of a session meant.
type Forced struct {
	// MayBelieve is how long the holder may still believe that it holds.
	MayBelieve time.Duration
	// Ended says that the hold has ended already; not so with [Gently].
	Ended bool
	// Recorded says that the server writes it into its audit log.
	Recorded bool
}

// ForceRelease ends the hold that name and token say, against its holder's
// will. If that one has ended meanwhile, nothing happens to the next one and
// the error is [ErrTokenMoved]. The reason is recorded.
//
// This takes the lock from a program that relies on it: whatever it protects
// must be able to bear two holders, or compare tokens.
func (a *Admin) ForceRelease(ctx context.Context, name string, token uint64, reason string, opts ...ForceOption) (Forced, error) {
	request := &ldlmv2.ForceReleaseRequest{Name: name, Token: token, Reason: reason}
	for _, o := range opts {
		o.applyForce(request)
	}
	if err := checkText("force release", name, "reason", reason); err != nil {
		return Forced{}, err
	}
	var answer *ldlmv2.ForceReleaseResponse
	err := a.client.anywhere(ctx, "force release", name, func(ctx context.Context, stub ldlmv2.LDLMClient) (err error) {
		answer, err = stub.ForceRelease(ctx, request)
		return err
	})
	return Forced{MayBelieve: fromMicros(answer.GetMayBelieveUs()), Ended: answer.GetEnded(), Recorded: answer.GetRecorded()}, err
}

// KillSession ends a session with everything that it holds and waits for,
// against its client's will; [ErrNotFound] if there is none of that number. The
// reason is recorded.
func (a *Admin) KillSession(ctx context.Context, number uint64, reason string) (Forced, error) {
	if err := checkText("kill session", "", "reason", reason); err != nil {
		return Forced{}, err
	}
	var answer *ldlmv2.KillSessionResponse
	err := a.client.anywhere(ctx, "kill session", "", func(ctx context.Context, stub ldlmv2.LDLMClient) (err error) {
		answer, err = stub.KillSession(ctx, &ldlmv2.KillSessionRequest{Session: number, Reason: reason})
		return err
	})
	return Forced{MayBelieve: fromMicros(answer.GetMayBelieveUs()), Ended: err == nil, Recorded: answer.GetRecorded()}, err
}

// Resize changes the size of a lock. Holds stay, even if there are more of them
// then; requests that want more permits than there are end with [ErrSizeMismatch].
func (a *Admin) Resize(ctx context.Context, name string, size int) error {
	if size < 1 || size > math.MaxInt32 {
		return invalid("resize", name, "size", math.MaxInt32, "")
	}
	return a.client.anywhere(ctx, "resize", name, func(ctx context.Context, stub ldlmv2.LDLMClient) error {
		_, err := stub.Resize(ctx, &ldlmv2.ResizeRequest{Name: name, Size: uint32(size)})
		return err
	})
}

// SaveSnapshot writes the file of a snapshot of everything that a server has to w:
// the first of the client's addresses that answers. It is whole if the error is nil,
// and has checksums of its own; `ldlm snapshot restore` makes a data directory of
// it. It has the keys of all holds: whoever can read it can release every lock.
//
// The error is [ErrUnsupported] if the server keeps everything in memory. If w fails,
// its error is wrapped. What was written before an error is not a snapshot.
func (a *Admin) SaveSnapshot(ctx context.Context, w io.Writer) error {
	s := &saving{to: w}
	err := a.client.anywhere(ctx, "save snapshot", "", s.stream)
	switch {
	case s.failed != nil:
		return fmt.Errorf("ldlm: save snapshot: %w", s.failed)
	case s.broke != nil && ctx.Err() == nil:
		return &Error{Op: "save snapshot", Message: "the snapshot broke off", kind: ErrUnavailable, cause: s.broke}
	case s.broke != nil:
		return gaveUp(ctx, "save snapshot", "")
	default:
		return err
	}
}

// saving writes the stream of a snapshot.
type saving struct {
	to     io.Writer
	failed error // of to
	broke  error // of the stream, after it had begun: another server's would not be the rest of it
}

func (s *saving) stream(ctx context.Context, stub ldlmv2.LDLMClient) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := stub.SaveSnapshot(ctx, &ldlmv2.SaveSnapshotRequest{})
	if err != nil {
		return err
	}
	for begun := false; ; begun = true {
		piece, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && begun:
			s.broke = err
			return nil
		case err != nil:
			return err
		}
		if _, s.failed = s.to.Write(piece.GetData()); s.failed != nil {
			return nil
		}
	}
}
