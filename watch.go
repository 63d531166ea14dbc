package ldlm

import (
	"context"
	"errors"
	"io"
	"iter"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

// WatchOption is an option of [Client.Watch].
type WatchOption interface{ applyWatch(*ldlmv2.WatchRequest) }

type watchOption func(*ldlmv2.WatchRequest)

func (f watchOption) applyWatch(r *ldlmv2.WatchRequest) { f(r) }

// After begins after the event of that number instead of with what happens
// next. Servers keep some thousand events; if that one is gone, the first thing
// to come is [ErrReset].
func After(number uint64) WatchOption {
	return watchOption(func(r *ldlmv2.WatchRequest) { r.After = number })
}

// Watch goes through events as they happen, until ctx ends or the loop does:
// those of one lock, or, if pattern ends in *, of all locks whose names begin
// with what stands before it. "*" is everything, sessions included.
//
// It outlives lost connections: it goes on after the last event that it had. If
// events were missed all the same, because they were too many at once or the
// server was started anew, the last pair has [ErrReset]: look with [Admin.List]
// how things stand, then watch anew. Every other error ends it with the last
// pair too, ctx's own included.
func (c *Client) Watch(ctx context.Context, pattern string, opts ...WatchOption) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		w := &watch{client: c, pattern: pattern, yield: yield, request: watchRequest(pattern)}
		for _, o := range opts {
			o.applyWatch(w.request)
		}
		w.run(ctx)
	}
}

func watchRequest(pattern string) *ldlmv2.WatchRequest {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return &ldlmv2.WatchRequest{Prefix: prefix}
	}
	return &ldlmv2.WatchRequest{Name: pattern}
}

// watch is one loop over events.
type watch struct {
	client  *Client
	pattern string
	request *ldlmv2.WatchRequest
	yield   func(Event, error) bool
	// standing is called, if set, whenever the subscription stands; false ends
	// the watch.
	standing func() bool
	// stood says that the subscription stood at least once: from then on
	// unreachable servers are waited for.
	stood bool
	// fresh says that nothing came over the present stream yet.
	fresh    bool
	failures int
	stopped  bool
}

// run streams from one server after the other.
func (w *watch) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for {
		err := w.client.anywhere(ctx, "watch", w.pattern, w.stream)
		switch {
		case w.stopped:
			return
		case errors.Is(err, ErrUnavailable) && w.stood && ctx.Err() == nil:
			if sleep(ctx, backoff(w.failures)) == nil {
				w.failures++
				continue
			}
			err = gaveUp(ctx, "watch", w.pattern)
		case err == nil:
			err = &Error{Op: "watch", Name: w.pattern, kind: ErrReset}
		}
		w.yield(Event{}, err)
		return
	}
}

// stream passes on what one server tells. It returns nil after a reset and
// when the loop over the events ended.
func (w *watch) stream(ctx context.Context, stub ldlmv2.LDLMClient) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := stub.Watch(ctx, w.request)
	if err != nil {
		return err
	}
	w.fresh = true
	for {
		m, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return status.Error(codes.Unavailable, "the server ended the stream")
		}
		if err != nil {
			return err
		}
		if !w.pass(m) {
			return nil
		}
	}
}

// pass hands the events of a message to the loop. It reports false if nothing
// more is to come.
func (w *watch) pass(m *ldlmv2.WatchResponse) bool {
	w.failures = 0
	if w.fresh {
		w.stood, w.fresh = true, false
		w.request.After = max(w.request.After, m.GetFrom())
		if w.standing != nil && !w.standing() {
			w.stopped = true
			return false
		}
	}
	for _, e := range m.GetEvents() {
		w.request.After = e.GetNumber()
		if !w.yield(eventOf(e), nil) {
			w.stopped = true
			return false
		}
	}
	return !m.GetReset_()
}
