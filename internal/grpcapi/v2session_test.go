package grpcapi_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

// talk is a client in a conversation over a stream.
type talk struct {
	grpc.BidiStreamingClient[ldlmv2.ClientFrame, ldlmv2.ServerFrame]
	t      *testing.T
	conn   *grpc.ClientConn
	cancel context.CancelFunc
}

func (h *house) talk(ctx context.Context) *talk {
	h.t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	conn := h.dial()
	s, err := ldlmv2.NewLDLMClient(conn).Session(ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(cancel)
	return &talk{s, h.t, conn, cancel}
}

func hello(onEnd ldlmv2.OnEndOfStream) *ldlmv2.ClientFrame {
	return &ldlmv2.ClientFrame{Hello: &ldlmv2.Hello{
		Version: 2, Secret: bytes.Repeat([]byte{7}, 16), OnEndOfStream: onEnd,
	}}
}

// say sends a frame and returns the next one that comes.
func (k *talk) say(f *ldlmv2.ClientFrame) *ldlmv2.ServerFrame {
	k.t.Helper()
	if err := k.Send(f); err != nil {
		k.t.Fatalf("send: %v", err)
	}
	return k.hear()
}

func (k *talk) hear() *ldlmv2.ServerFrame {
	k.t.Helper()
	f, err := k.Recv()
	if err != nil {
		k.t.Fatalf("receive: %v", err)
	}
	return f
}

// begin says hello and takes lock l.
func (k *talk) begin(onEnd ldlmv2.OnEndOfStream) {
	k.t.Helper()
	if f := k.say(hello(onEnd)); f.GetWelcome().GetSession() == 0 {
		k.t.Fatalf("hello was answered %v", f)
	}
	f := k.say(&ldlmv2.ClientFrame{Ops: []*ldlmv2.Op{{Seq: 1, Acquire: &ldlmv2.Acquire{Name: "l"}}}})
	if len(f.Answers) != 1 || f.Answers[0].Code != ldlmv2.Code_CODE_OK || len(f.Answers[0].Key) != 16 {
		k.t.Fatalf("acquire was answered %v", f)
	}
}

// TestConversation: frames go both ways, and what was granted to others comes by itself.
func TestConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		k := h.talk(t.Context())
		k.begin(ldlmv2.OnEndOfStream_ON_END_OF_STREAM_KEEP)
		c := h.client()
		p := c.start(want("l"))
		synctest.Wait()
		f := k.say(&ldlmv2.ClientFrame{
			KeepAlive: &ldlmv2.KeepAlive{Number: 5},
			Ops: []*ldlmv2.Op{
				{Seq: 2, Release: &ldlmv2.Release{Name: "l", Token: 1}},
				{Slot: 1, Seq: 1, Acquire: &ldlmv2.Acquire{Name: "l", WaitUs: -1}},
			},
		})
		if len(f.Answers) != 2 || f.Answers[0].Code != ldlmv2.Code_CODE_WRONG_KEY || f.Answers[1].Code != ldlmv2.Code_CODE_QUEUED ||
			!f.Answers[1].Self || f.GetKeepAlive().GetNumber() != 5 || f.GetKeepAlive().GetValidForUs() == 0 {
			t.Errorf("answered %v; want a wrong token, a place in the queue, and a confirmation", f)
		}
		g, err := h.native().Get(t.Context(), &ldlmv2.GetRequest{Name: "l"})
		if err != nil || g.Lock.Holders[0].Client.Transport != "grpc" || g.Lock.Holders[0].Client.Remote != "bufconn" {
			t.Errorf("the holder is shown as %v (%v)", g, err)
		}
		f = k.say(&ldlmv2.ClientFrame{Ops: []*ldlmv2.Op{{Seq: 3, Release: &ldlmv2.Release{Name: "l", Token: g.Lock.Holders[0].Token}}}})
		if len(f.Answers) != 1 || f.Answers[0].Code != ldlmv2.Code_CODE_OK {
			t.Errorf("release was answered %v", f)
		}
		key := c.granted(p.wait())
		c.release("l", key)
		if f = k.hear(); len(f.Answers) != 1 || f.Answers[0].Slot != 1 || f.Answers[0].Code != ldlmv2.Code_CODE_OK {
			t.Errorf("after the release by another: %v, want the grant", f)
		}
		f = k.say(&ldlmv2.ClientFrame{Close: &ldlmv2.CloseSession{}})
		for f.GetEnd() == nil {
			f = k.hear()
		}
		if f.GetEnd().GetCode() != ldlmv2.Code_CODE_OK {
			t.Errorf("the end is %v, want OK", f.GetEnd())
		}
		if _, err := k.Recv(); err != io.EOF {
			t.Errorf("after the end: %v", err)
		}
		synctest.Wait()
		if got := h.counts(); got.Holds != 0 || got.Sessions != 1 {
			t.Errorf("left are %+v, want the session of the first protocol", got)
		}
	})
}

// TestEndsOfConversations: what the end of a stream does to a session that
// closes with it depends on who ended it.
func TestEndsOfConversations(t *testing.T) {
	const keep, shut = ldlmv2.OnEndOfStream_ON_END_OF_STREAM_KEEP, ldlmv2.OnEndOfStream_ON_END_OF_STREAM_CLOSE
	for what, test := range map[string]struct {
		onEnd ldlmv2.OnEndOfStream
		end   func(h *house, k *talk)
		lives bool
	}{
		"close: the client closes its half":      {shut, func(_ *house, k *talk) { _ = k.CloseSend() }, false},
		"close: the client resets the stream":    {shut, func(_ *house, k *talk) { k.cancel() }, false},
		"close: the client ends its connection":  {shut, func(_ *house, k *talk) { _ = k.conn.Close() }, false},
		"close: the client does nothing":         {shut, func(*house, *talk) {}, true},
		"close: the server ends the connection":  {shut, func(h *house, _ *talk) { h.sessions.Close() }, true},
		"close: the server stops":                {shut, func(h *house, _ *talk) { h.stopNow() }, true},
		"keep: the client closes its half":       {keep, func(_ *house, k *talk) { _ = k.CloseSend() }, true},
		"keep: the client resets the stream":     {keep, func(_ *house, k *talk) { k.cancel() }, true},
		"keep: the client ends its connection":   {keep, func(_ *house, k *talk) { _ = k.conn.Close() }, true},
		"keep: the server ends the conversation": {keep, func(h *house, _ *talk) { h.sessions.Close() }, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := open(t)
			k := h.talk(t.Context())
			k.begin(test.onEnd)
			test.end(h, k)
			synctest.Wait()
			if got := h.counts().Holds == 1; got != test.lives {
				t.Errorf("%s: the lock is held: %v, want %v", what, got, test.lives)
			}
		})
	}
}

// stopNow stops the server without waiting for anybody.
func (h *house) stopNow() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	h.server.Stop(ctx)
}

// TestFrozenConversation: a client that stands still is no client that ended
// its connection.
func TestFrozenConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		c, ice := h.freezableClient()
		s, err := ldlmv2.NewLDLMClient(c.conn).Session(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		k := &talk{s, t, c.conn, nil}
		k.begin(ldlmv2.OnEndOfStream_ON_END_OF_STREAM_CLOSE)
		defer ice.freeze(true)()
		<-time.After(9900 * time.Millisecond) // silent for half its ttl of 10 s, it was given up
		if got := h.counts(); got.Holds != 1 || got.Attached != 0 {
			t.Errorf("after 9.9 s: %+v, want the lock held and nobody attached", got)
		}
		<-time.After(200 * time.Millisecond)
		if got := h.counts(); got.Holds != 0 {
			t.Errorf("after 10.1 s: %+v, want the lock free", got)
		}
	})
}

// TestPasswordOfAConversation: as metadata, or in hello.
func TestPasswordOfAConversation(t *testing.T) {
	h := open(t, password("secret"))
	good := hello(0)
	good.Hello.Credential = "secret"
	bad := hello(0)
	bad.Hello.Credential = "guess"
	for what, test := range map[string]struct {
		ctx   context.Context
		hello *ldlmv2.ClientFrame
		good  bool
	}{
		"in hello":              {t.Context(), good, true},
		"as metadata":           {with(t.Context(), "secret"), hello(0), true},
		"both":                  {with(t.Context(), "secret"), good, true},
		"nowhere":               {t.Context(), hello(0), false},
		"wrong in hello":        {t.Context(), bad, false},
		"wrong as metadata":     {with(t.Context(), "guess"), good, false},
		"wrong in both":         {with(t.Context(), "guess"), bad, false},
		"empty, right in hello": {with(t.Context(), ""), good, false},
	} {
		k := h.talk(test.ctx)
		_ = k.Send(test.hello) // fails if the end has come
		f, err := k.Recv()
		if test.good {
			if err != nil || f.GetWelcome() == nil {
				t.Errorf("%s: %v, %v; want welcome", what, f, err)
			}
			continue
		}
		for err == nil {
			_, err = k.Recv()
		}
		if status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: %v, want Unauthenticated", what, err)
		}
	}
	if got := h.counts().Sessions; got > 1 {
		t.Errorf("%d sessions of one secret", got)
	}
}

// TestBadFrames: the client is told what was wrong, and the stream ends.
func TestBadFrames(t *testing.T) {
	h := open(t)
	for what, test := range map[string]struct {
		frame []byte
		code  codes.Code
		field string
	}{
		"no frame":      {[]byte{0xff, 0xff}, codes.InvalidArgument, ""},
		"cut":           {[]byte{0x0a, 0x20, 0x08}, codes.InvalidArgument, ""},
		"not UTF-8":     {[]byte{0x0a, 0x03, 0x1a, 0x01, 0xff}, codes.InvalidArgument, "hello"},
		"above 4 MiB":   {make([]byte, 4<<20+1), codes.ResourceExhausted, ""},
		"no hello":      {nil, codes.InvalidArgument, ""},
		"short secret":  {[]byte{0x0a, 0x05, 0x08, 0x02, 0x2a, 0x01, 0x00}, codes.InvalidArgument, "secret"},
		"older version": {[]byte{0x0a, 0x02, 0x08, 0x01}, codes.Unimplemented, "version"},
	} {
		s, err := h.dial().NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true},
			ldlmv2.LDLM_Session_FullMethodName, forceRaw)
		if err != nil {
			t.Fatal(err)
		}
		request := raw(test.frame)
		if err := s.SendMsg(&request); err != nil {
			t.Fatalf("%s: send: %v", what, err)
		}
		for err == nil {
			err = s.RecvMsg(&raw{})
		}
		if status.Code(err) != test.code {
			t.Errorf("%s: %v, want %v", what, err, test.code)
		}
		if test.code == codes.InvalidArgument {
			for _, d := range status.Convert(err).Details() {
				if st := d.(*ldlmv2.Status); test.field != "" && st.Field[:min(len(st.Field), len(test.field))] != test.field {
					t.Errorf("%s: the answer blames %q, want %q", what, st.Field, test.field)
				}
			}
		}
	}
	if got := h.counts().Sessions; got != 0 {
		t.Errorf("%d sessions", got)
	}
}

// TestClientThatDoesNotTakeFrames is cut off; others on the same connection are not.
func TestClientThatDoesNotTakeFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		k := h.talk(t.Context())
		k.begin(ldlmv2.OnEndOfStream_ON_END_OF_STREAM_KEEP)
		other := ldlmv2.NewLDLMClient(k.conn)
		// Answers to many operations, more than a stream's window takes, unread.
		go func() {
			for slot := uint32(1); ; slot++ {
				f := &ldlmv2.ClientFrame{KeepAlive: &ldlmv2.KeepAlive{Number: uint64(slot)}}
				for seq := range uint64(200) {
					f.Ops = append(f.Ops, &ldlmv2.Op{Slot: slot % 1000, Seq: seq + 1, Acquire: &ldlmv2.Acquire{Name: "l"}})
				}
				if k.Send(f) != nil {
					return
				}
			}
		}()
		<-time.After(30 * time.Second)
		if got := h.counts().Attached; got != 0 {
			t.Errorf("%d sessions are attached, the client should have been cut off", got)
		}
		if _, err := other.Get(t.Context(), &ldlmv2.GetRequest{Name: "nope"}); status.Code(err) != codes.NotFound {
			t.Errorf("another call on the connection: %v", err)
		}
	})
}
