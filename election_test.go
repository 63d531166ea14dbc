package ldlm

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

func TestLeadCampaignsAgainAfterALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		e := c.Election("boss", Value([]byte("me:1")), Reason("work"))
		var causes []error
		var tokens []uint64
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for term := range e.Lead(ctx) {
				tokens = append(tokens, term.Token())
				if term.Lock().Name() != "boss" || TokenFrom(term.Context()) != term.Token() {
					t.Errorf("term of %s, token in context %d", term.Lock().Name(), TokenFrom(term.Context()))
				}
				if len(tokens) == 2 {
					continue // gives the lead up
				}
				<-term.Context().Done()
				causes = append(causes, context.Cause(term.Context()))
			}
		}()
		conn := srv.open()
		op := conn.op()
		if a := op.GetAcquire(); a.GetName() != "boss" || a.GetWaitUs() != -1 || string(a.GetNote().GetValue()) != "me:1" {
			t.Errorf("candidacy is %v", op)
		}
		conn.grant(op, 1)
		synctest.Wait()
		conn.send(&ldlmv2.ServerFrame{Lost: []*ldlmv2.Lost{{Name: "boss", Token: 1, Reason: 5}}})
		conn.grant(conn.op(), 2)
		op = conn.op()
		if op.GetRelease().GetToken() != 2 {
			t.Errorf("operation is %v, want the lead given up", op)
		}
		conn.ok(op)
		conn.grant(conn.op(), 3)
		synctest.Wait()
		cancel()
		op = conn.op()
		if op.GetRelease().GetToken() != 3 {
			t.Errorf("operation is %v, want the lead given up", op)
		}
		conn.ok(op)
		<-ended
		if !slices.Equal(tokens, []uint64{1, 2, 3}) {
			t.Errorf("terms %v, want 1, 2, 3", tokens)
		}
		if len(causes) != 2 || !errors.Is(causes[0], ErrLost) || causes[1] != context.Canceled {
			t.Errorf("terms ended with %v, want a loss and the context's end", causes)
		}
		if err := e.Err(); !errors.Is(err, context.Canceled) {
			t.Errorf("Err() = %v, want the context's error", err)
		}
	})
}

func TestLeadEndsWithBreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		e := c.Election("boss")
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for range e.Lead(t.Context()) {
				break
			}
		}()
		conn := srv.open()
		conn.grant(conn.op(), 1)
		op := conn.op()
		if op.GetRelease() == nil {
			t.Errorf("operation is %v, want the lead given up", op)
		}
		conn.ok(op)
		<-ended
		if err := e.Err(); err != nil {
			t.Errorf("Err() = %v", err)
		}
	})
}

func TestLeadWaitsForServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		srv.setRefuse(errors.New("down"))
		c := srv.client()
		e := c.Election("boss")
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for range e.Lead(t.Context()) {
				break
			}
		}()
		pass(time.Minute)
		if n := len(srv.dials()); n < 20 || n > 600 {
			t.Errorf("%d attempts in a minute", n)
		}
		srv.setRefuse(nil)
		conn := srv.open()
		conn.grant(conn.op(), 1)
		conn.ok(conn.op())
		<-ended
	})
}

func TestLeadEndsWhenItCannotHelp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		e := c.Election("boss")
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for range e.Lead(t.Context()) {
				t.Error("a term")
			}
		}()
		conn := srv.open()
		conn.answer(conn.op(), ldlmv2.Code_CODE_SIZE_MISMATCH)
		<-ended
		if err := e.Err(); !errors.Is(err, ErrSizeMismatch) {
			t.Errorf("Err() = %v, want ErrSizeMismatch", err)
		}
	})
}

func TestObserve(t *testing.T) {
	srv := listenRemote(t, nil)
	leaders := make(chan *ldlmv2.Holder, 10)
	var streams atomic.Int32
	srv.get = func(q *ldlmv2.GetRequest) (*ldlmv2.GetResponse, error) {
		h := <-leaders
		if h == nil {
			return nil, failure(codes.NotFound, &ldlmv2.Status{Code: ldlmv2.Code_CODE_NOT_FOUND})
		}
		return &ldlmv2.GetResponse{Lock: &ldlmv2.Lock{Name: q.GetName(), Holders: []*ldlmv2.Holder{{Token: 9, Delay: true}, h}}}, nil
	}
	srv.watch = func(q *ldlmv2.WatchRequest, s watchStream) error {
		if q.GetName() != "boss*" || q.GetPrefix() != "" {
			t.Errorf("request is %v, want that very name", q)
		}
		switch streams.Add(1) {
		case 1: // nobody leads; then 1 does
			leaders <- nil
			leaders <- &ldlmv2.Holder{Token: 1, Value: []byte("a")}
			return sendEvents(s, 10, 11)
		case 2: // still 1 over a new stream; then 2, told twice; then a reset
			if q.GetAfter() != 11 {
				t.Errorf("second stream begins after %d, want 11", q.GetAfter())
			}
			leaders <- &ldlmv2.Holder{Token: 1}
			leaders <- &ldlmv2.Holder{Token: 2, Value: []byte("b")}
			leaders <- &ldlmv2.Holder{Token: 2}
			if err := sendEvents(s, 11, 12, 13); err != nil {
				return err
			}
			return s.Send(&ldlmv2.WatchResponse{Reset_: true})
		default: // after the reset it begins anew, with what happens from now on
			if q.GetAfter() != 0 {
				t.Errorf("third stream begins after %d, want now", q.GetAfter())
			}
			return failure(codes.PermissionDenied, &ldlmv2.Status{Code: ldlmv2.Code_CODE_DENIED})
		}
	}
	c := dialRemote(t, srv.address)
	var tokens []uint64
	var last error
	for leader, err := range c.Election("boss*").Observe(t.Context()) {
		if last = err; err != nil {
			break
		}
		tokens = append(tokens, leader.Token)
	}
	if !slices.Equal(tokens, []uint64{0, 1, 2}) || !errors.Is(last, ErrDenied) {
		t.Errorf("leaders %v, then %v; want 0, 1, 2, then ErrDenied", tokens, last)
	}
}
