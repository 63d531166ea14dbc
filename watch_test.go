package ldlm

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

type watchStream = grpc.ServerStreamingServer[ldlmv2.WatchResponse]

// sendEvents sends events with these numbers.
func sendEvents(s watchStream, from uint64, numbers ...uint64) error {
	m := &ldlmv2.WatchResponse{From: from}
	for _, n := range numbers {
		m.Events = append(m.Events, &ldlmv2.Event{Number: n, Type: ldlmv2.EventType_EVENT_TYPE_ACQUIRED, Name: "x"})
	}
	return s.Send(m)
}

func TestWatchGoesOnAfterTheLastEvent(t *testing.T) {
	srv := listenRemote(t, nil)
	var mu sync.Mutex
	var asked []*ldlmv2.WatchRequest
	srv.watch = func(q *ldlmv2.WatchRequest, s watchStream) error {
		mu.Lock()
		asked = append(asked, q)
		n := len(asked)
		mu.Unlock()
		switch n {
		case 1: // stands, and ends before anything happened
			return sendEvents(s, 40)
		case 2:
			if err := sendEvents(s, 40, 41, 42); err != nil {
				return err
			}
			return failure(codes.Unavailable, &ldlmv2.Status{Code: ldlmv2.Code_CODE_UNAVAILABLE, Message: "draining"})
		case 3:
			return sendEvents(s, 42, 43)
		default:
			return sendEvents(s, 43, 44)
		}
	}
	c := dialRemote(t, srv.address)
	var got []uint64
	for e, err := range c.Watch(t.Context(), "invoice/*") {
		if err != nil {
			t.Fatal(err)
		}
		if e.Name != "x" || e.Type != EventAcquired {
			t.Errorf("event is %+v", e)
		}
		if got = append(got, e.Number); e.Number == 44 {
			break
		}
	}
	if want := []uint64{41, 42, 43, 44}; !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
	mu.Lock()
	defer mu.Unlock()
	for i, want := range []uint64{0, 40, 42, 43} {
		if asked[i].GetAfter() != want || asked[i].GetPrefix() != "invoice/" || asked[i].GetName() != "" {
			t.Errorf("request %d is %v, want prefix invoice/ after %d", i, asked[i], want)
		}
	}
}

func TestWatchEnds(t *testing.T) {
	for _, test := range []struct {
		name  string
		watch func(*ldlmv2.WatchRequest, watchStream) error
		want  error
	}{
		{"reset", func(_ *ldlmv2.WatchRequest, s watchStream) error {
			return s.Send(&ldlmv2.WatchResponse{Reset_: true})
		}, ErrReset},
		{"refused", func(*ldlmv2.WatchRequest, watchStream) error {
			return failure(codes.PermissionDenied, &ldlmv2.Status{Code: ldlmv2.Code_CODE_DENIED, Message: "no"})
		}, ErrDenied},
		{"cannot serve from the start", func(*ldlmv2.WatchRequest, watchStream) error {
			return failure(codes.Unavailable, &ldlmv2.Status{Code: ldlmv2.Code_CODE_UNAVAILABLE})
		}, ErrUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			srv := listenRemote(t, nil)
			srv.watch = test.watch
			c := dialRemote(t, srv.address)
			var got []error
			for _, err := range c.Watch(t.Context(), "x") {
				got = append(got, err)
			}
			if len(got) != 1 || !errors.Is(got[0], test.want) {
				t.Errorf("loop had %v, want %v and its end", got, test.want)
			}
		})
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	srv := listenRemote(t, nil)
	srv.watch = func(q *ldlmv2.WatchRequest, s watchStream) error {
		if q.GetAfter() != 7 || q.GetName() != "x" {
			t.Errorf("request is %v, want x after 7", q)
		}
		if err := sendEvents(s, 7, 8); err != nil {
			return err
		}
		<-s.Context().Done()
		return s.Context().Err()
	}
	c := dialRemote(t, srv.address)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for e, err := range c.Watch(ctx, "x", After(7)) {
		if err == nil && e.Number == 8 {
			cancel()
		}
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("loop ended with %v, want the context's error", last)
	}
}

func TestEventsInFull(t *testing.T) {
	at := time.UnixMicro(1_700_000_000_000_001)
	got := eventOf(&ldlmv2.Event{
		Number: 1, Type: ldlmv2.EventType_EVENT_TYPE_EXPIRED, TimeUs: at.UnixMicro(), Name: "x", Session: 2,
		Client: &ldlmv2.ClientInfo{Host: "h"}, Token: 3, Reason: ldlmv2.EndReason_END_REASON_SESSION_EXPIRED,
		WaitedUs: 4, HeldUs: 5, Permits: 6, Mode: ldlmv2.Mode_MODE_SHARED, Size: 7,
	})
	want := Event{
		Number: 1, Type: EventExpired, Time: at, Name: "x", Session: 2, Client: ClientInfo{Host: "h"}, Token: 3,
		Reason: ReasonSessionExpired, Waited: 4 * time.Microsecond, Held: 5 * time.Microsecond, Permits: 6, Shared: true, Size: 7,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("event is %+v, want %+v", got, want)
	}
}

func TestEveryEventTypeHasAName(t *testing.T) {
	for number, name := range ldlmv2.EventType_name {
		got := EventType(number).String()
		if number != 0 && (got == "" || got[:3] == "eve") {
			t.Errorf("%s has no name: %q", name, got)
		}
	}
	if got := EventType(200).String(); got != "event of type 200" {
		t.Errorf("unknown type is %q", got)
	}
}
