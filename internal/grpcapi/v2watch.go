package grpcapi

import (
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

// Watch streams events as they happen. The node does not wait for a watcher
// that does not take them: it is told that it has missed some, and that is the
// end.
func (v *v2) Watch(r *ldlmv2.WatchRequest, stream grpc.ServerStreamingServer[ldlmv2.WatchResponse]) error {
	if r.GetName() != "" && r.GetPrefix() != "" {
		return invalid("prefix", 0, "it excludes name")
	}
	w, err := v.node.Watch(r.GetName(), r.GetPrefix(), r.GetAfter())
	switch {
	case errors.Is(err, ErrReset):
		return stream.Send(&ldlmv2.WatchResponse{Reset_: true})
	case err != nil:
		return v.failed(stream.Context(), err)
	}
	defer w.Close()
	seen := visible{auth.PassOf(stream.Context())}
	if err := stream.Send(&ldlmv2.WatchResponse{From: w.From()}); err != nil {
		return err
	}
	for {
		events := eventStream{stream: stream, seen: seen}
		err := w.Next(stream.Context(), events.add)
		if sent := events.flush(); sent != nil {
			return sent
		}
		switch {
		case errors.Is(err, ErrReset):
			return stream.Send(&ldlmv2.WatchResponse{Reset_: true})
		case v.stopping.Err() != nil:
			return unavailable("the server is shutting down; watch elsewhere, after the event seen last")
		case err != nil:
			return v.failed(stream.Context(), err)
		}
	}
}

// eventStream sends events in messages that are not too large.
type eventStream struct {
	stream grpc.ServerStreamingServer[ldlmv2.WatchResponse]
	seen   visible
	ready  []*ldlmv2.Event
	bytes  int
	err    error // of the first message that could not be sent
}

func (s *eventStream) add(e *lock.Event, wall time.Time) {
	if s.seen.hidesEvent(e) {
		return
	}
	m := sessionapi.EventOf(e, wall)
	size := proto.Size(m)
	if s.bytes+size > pageBytes {
		_ = s.flush() // kept for the one who asks last
	}
	s.ready, s.bytes = append(s.ready, m), s.bytes+size
}

func (s *eventStream) flush() error {
	if s.err == nil && len(s.ready) > 0 {
		s.err = s.stream.Send(&ldlmv2.WatchResponse{Events: s.ready})
	}
	s.ready, s.bytes = nil, 0
	return s.err
}
