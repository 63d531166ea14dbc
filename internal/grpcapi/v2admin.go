package grpcapi

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/audit"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

const (
	// defaultPage and maxPage bound the entries of a page.
	defaultPage, maxPage = 100, 1000
	// pageBytes is about what a page may take; at least one entry is in it.
	// Clients take 4 MiB at once.
	pageBytes = 1 << 20
	// readAtOnce is how many entries are read at once, not knowing their size.
	readAtOnce = 64
	// maxReads is how often is read for one page, of which the caller may not see
	// everything: a page may have fewer entries than were asked for, or none.
	maxReads = 1000
	// maxRecent is how many events come with a lock.
	maxRecent = 20
)

// List returns a page of locks.
func (v *v2) List(ctx context.Context, r *ldlmv2.ListRequest) (*ldlmv2.ListResponse, error) {
	f := lock.LockFilter{Prefix: r.GetPrefix()}
	switch r.GetState() {
	case ldlmv2.LockState_LOCK_STATE_UNSPECIFIED:
	case ldlmv2.LockState_LOCK_STATE_HELD:
		f.State = lock.HeldState
	case ldlmv2.LockState_LOCK_STATE_CONTENDED:
		f.State = lock.ContendedState
	case ldlmv2.LockState_LOCK_STATE_IDLE:
		f.State = lock.IdleState
	default:
		return nil, invalid("state", 0, "unknown")
	}
	seen := visible{auth.PassOf(ctx)}
	f.Prefix = seen.narrowed(f.Prefix)
	locks, next, err := page(r.GetCursor(), r.GetLimit(), sessionapi.LockOf,
		func(after uint64, limit int) ([]lock.LockView, uint64, error) {
			views, next, err := v.node.List(ctx, f, after, limit)
			return slices.DeleteFunc(views, seen.hidesLock), next, err
		})
	if err != nil {
		return nil, v.failed(ctx, err)
	}
	return &ldlmv2.ListResponse{Locks: locks, NextCursor: next}, nil
}

// ListSessions returns a page of sessions.
func (v *v2) ListSessions(
	ctx context.Context, r *ldlmv2.ListSessionsRequest,
) (*ldlmv2.ListSessionsResponse, error) {
	seen := visible{auth.PassOf(ctx)}
	sessions, next, err := page(r.GetCursor(), r.GetLimit(), v.sessionOf,
		func(after uint64, limit int) ([]lock.SessionView, uint64, error) {
			views, next, err := v.node.Sessions(ctx, lock.SessionNumber(after), limit)
			return slices.DeleteFunc(views, seen.hidesSession), uint64(next), err
		})
	if err != nil {
		return nil, v.failed(ctx, err)
	}
	return &ldlmv2.ListSessionsResponse{Sessions: sessions, NextCursor: next}, nil
}

// page reads entries from a place on until there are enough of them, or enough
// bytes.
func page[V any, M proto.Message](
	after uint64, limit uint32, write func(*V) M, read func(after uint64, limit int) ([]V, uint64, error),
) ([]M, uint64, error) {
	want := defaultPage
	if limit > 0 {
		want = int(min(limit, maxPage))
	}
	var all []M
	bytes, step := 0, readAtOnce
	for rounds := 0; len(all) < want && rounds < maxReads; rounds++ {
		views, next, err := read(after, min(step, want-len(all)))
		if err != nil {
			return nil, 0, err
		}
		some, size := make([]M, len(views)), 0
		for i := range views {
			some[i] = write(&views[i])
			size += proto.Size(some[i])
		}
		if bytes+size > pageBytes && len(all)+len(some) > 1 {
			if step == 1 {
				break
			}
			step = max(1, step/2)
			continue
		}
		all, bytes, after = append(all, some...), bytes+size, next
		if next == 0 {
			break
		}
	}
	return all, after, nil
}

// Get returns one lock.
func (v *v2) Get(ctx context.Context, r *ldlmv2.GetRequest) (*ldlmv2.GetResponse, error) {
	view, found, err := v.node.Lookup(ctx, r.GetName())
	switch {
	case err != nil:
		return nil, v.failed(ctx, err)
	case !found:
		return nil, refusal(&lock.Outcome{Code: lock.NotFound})
	}
	l := sessionapi.LockOf(&view)
	l.Holders, l.Waiters = fitting(l.Holders), fitting(l.Waiters)
	answer := &ldlmv2.GetResponse{Lock: l}
	v.node.Recent(r.GetName(), maxRecent, func(e *lock.Event, wall time.Time) {
		answer.Events = append(answer.Events, sessionapi.EventOf(e, wall))
	})
	return answer, nil
}

// sessionOf describes a session, with what only the server knows that its
// connection ends at.
func (v *v2) sessionOf(view *lock.SessionView) *ldlmv2.Session {
	m := sessionapi.SessionOf(view)
	if view.Attached && v.conversations != nil {
		if d, ok := v.conversations.LastHeard(view.Number, view.Attach); ok {
			m.LastHeardUs = d.Microseconds()
		}
	}
	return m
}

// GetSession returns one session with what it holds and waits for.
func (v *v2) GetSession(ctx context.Context, r *ldlmv2.GetSessionRequest) (*ldlmv2.GetSessionResponse, error) {
	number := lock.SessionNumber(r.GetSession())
	view, found, err := v.node.LookupSession(ctx, number)
	if err != nil {
		return nil, v.failed(ctx, err)
	}
	seen := visible{auth.PassOf(ctx)}
	if !found || seen.hidesSession(view) {
		return nil, errorOf(sessionapi.NewStatus(ldlmv2.Code_CODE_NOT_FOUND, "there is no session of that number"))
	}
	holds, waits, err := v.node.HoldsOf(ctx, number, maxPage)
	if err != nil {
		return nil, v.failed(ctx, err)
	}
	holds = slices.DeleteFunc(holds, func(h lock.HoldView) bool { return seen.hides(h.Name) })
	waits = slices.DeleteFunc(waits, func(w lock.WaitView) bool { return seen.hides(w.Name) })
	answer := &ldlmv2.GetSessionResponse{Session: v.sessionOf(&view)}
	for i := range holds {
		holds[i].Info = nil // the session's own
		answer.Holds = append(answer.Holds, &ldlmv2.SessionHold{Name: holds[i].Name, Holder: sessionapi.HolderOf(&holds[i])})
	}
	for i := range waits {
		waits[i].Info = nil
		answer.Waits = append(answer.Waits, &ldlmv2.SessionWait{Name: waits[i].Name, Waiter: sessionapi.WaiterOf(&waits[i])})
	}
	answer.Holds, answer.Waits = fitting(answer.Holds), fitting(answer.Waits)
	return answer, nil
}

// ServerStatus says who answers, and how much there is.
func (v *v2) ServerStatus(context.Context, *ldlmv2.ServerStatusRequest) (*ldlmv2.ServerStatusResponse, error) {
	counts := v.node.Counts()
	answer := &ldlmv2.ServerStatusResponse{
		Version: v.version, UptimeUs: time.Since(v.started).Microseconds(),
		Storage: ldlmv2.Storage_STORAGE_MEMORY, Member: v.member, QuietLeftUs: v.node.QuietLeft().Microseconds(),
		Locks: uint64(counts.Locks), Held: uint64(counts.Held), Contended: uint64(counts.Contended),
		Holds: uint64(counts.Holds), Waiters: uint64(counts.Waiters),
		Sessions: uint64(counts.Sessions), Attached: uint64(counts.Attached),
		Token: uint64(v.node.Token()), Draining: v.draining.Load(), Refusals: refusalsOf(v.gate),
	}
	if v.conversations != nil {
		answer.Leader = v.conversations.Leader()
	}
	if v.directory != nil {
		answer.Storage, answer.DataDirectory = ldlmv2.Storage_STORAGE_DISK, v.directory.Status()
	}
	if v.members != nil {
		answer.Members = v.members()
	}
	if v.reloadFailed != nil {
		answer.ReloadFailedUs = v.reloadFailed().Microseconds()
	}
	return answer, nil
}

func refusalsOf(g *auth.Gate) *ldlmv2.Refusals {
	c := g.Counts()
	return &ldlmv2.Refusals{
		Missing: c.Missing, Wrong: c.Wrong, TooMany: c.TooMany, Denied: c.Denied, Handshake: c.Handshake,
		Limits: g.LimitsReached(),
	}
}

// fitting cuts a list off where its messages take too much.
func fitting[M proto.Message](list []M) []M {
	bytes := 0
	for i, m := range list {
		if bytes += proto.Size(m); bytes > pageBytes {
			return list[:i]
		}
	}
	return list
}

// ForceRelease ends a hold against its holder's will.
func (v *v2) ForceRelease(
	ctx context.Context, r *ldlmv2.ForceReleaseRequest,
) (*ldlmv2.ForceReleaseResponse, error) {
	e := audit.Entry{
		Action: audit.ForcedRelease, Lock: r.GetName(), Token: r.GetToken(), Reason: r.GetReason(),
		Before: v.holdBefore(ctx, r.GetName(), r.GetToken()),
	}
	o, err := v.call(ctx, &lock.ForceRelease{
		Name: r.GetName(), Token: lock.Token(r.GetToken()), Reason: r.GetReason(), Wait: r.GetWait(),
	})
	recorded := v.note(ctx, e, err)
	if err != nil {
		return nil, err
	}
	v.force(ctx, "Forced release", slog.String("lock", r.GetName()), slog.Uint64("token", r.GetToken()),
		slog.String("reason", r.GetReason()), slog.Bool("wait", r.GetWait()))
	return &ldlmv2.ForceReleaseResponse{MayBelieveUs: int64(o.MayBelieve), Ended: o.Count > 0, Recorded: recorded}, nil
}

// KillSession ends a session against its client's will.
func (v *v2) KillSession(
	ctx context.Context, r *ldlmv2.KillSessionRequest,
) (*ldlmv2.KillSessionResponse, error) {
	e := audit.Entry{
		Action: audit.SessionKill, Session: r.GetSession(), Reason: r.GetReason(), Before: v.sessionBefore(ctx, r.GetSession()),
	}
	o, err := v.call(ctx, &lock.Kill{Session: lock.SessionNumber(r.GetSession()), Reason: r.GetReason()})
	recorded := v.note(ctx, e, err)
	if err != nil {
		return nil, err
	}
	v.force(ctx, "Session killed", slog.Uint64("session", r.GetSession()), slog.String("reason", r.GetReason()),
		slog.Int("num_locks", o.Count))
	return &ldlmv2.KillSessionResponse{MayBelieveUs: int64(o.MayBelieve), Recorded: recorded}, nil
}

// Resize changes the size of a lock.
func (v *v2) Resize(ctx context.Context, r *ldlmv2.ResizeRequest) (*ldlmv2.ResizeResponse, error) {
	e := audit.Entry{
		Action: audit.Resize, Lock: r.GetName(), Before: v.sizeBefore(ctx, r.GetName()), After: audit.Size{Size: r.GetSize()},
	}
	_, err := v.call(ctx, &lock.Resize{Name: r.GetName(), Size: r.GetSize()})
	v.note(ctx, e, err)
	if err != nil {
		return nil, err
	}
	v.force(ctx, "Lock resized", slog.String("lock", r.GetName()), slog.Uint64("size", uint64(r.GetSize())))
	return &ldlmv2.ResizeResponse{}, nil
}

// force logs what was done against somebody's will, and from where.
func (v *v2) force(ctx context.Context, msg string, attrs ...slog.Attr) {
	v.log.LogAttrs(ctx, slog.LevelWarn, msg, append(attrs, slog.String("client_addr", remoteOf(ctx)))...)
}
