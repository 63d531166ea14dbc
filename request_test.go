package ldlm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

func TestWhatIsAskedFor(t *testing.T) {
	for _, test := range []struct {
		name string
		call func(context.Context, *Client) (*Lock, error)
		want *ldlmv2.Op
	}{
		{"plain", func(ctx context.Context, c *Client) (*Lock, error) { return c.Lock(ctx, "x") },
			&ldlmv2.Op{Acquire: &ldlmv2.Acquire{Name: "x", WaitUs: -1}}},
		{"all options", func(ctx context.Context, c *Client) (*Lock, error) {
			return c.Lock(ctx, "x", Size(10), Permits(2), WaitAtMost(time.Second), LockDelay(2*time.Second),
				Reason("why"), Labels(map[string]string{"a": "b"}), Value([]byte("v")))
		}, &ldlmv2.Op{Acquire: &ldlmv2.Acquire{
			Name: "x", Size: 10, Permits: 2, WaitUs: 1e6, LockDelayUs: 2e6,
			Note: &ldlmv2.Note{Reason: "why", Labels: map[string]string{"a": "b"}, Value: []byte("v")},
		}}},
		{"try", func(ctx context.Context, c *Client) (*Lock, error) { return c.TryLock(ctx, "x", Shared()) },
			&ldlmv2.Op{Acquire: &ldlmv2.Acquire{Name: "x", Mode: ldlmv2.Mode_MODE_SHARED}}},
		{"shared", func(ctx context.Context, c *Client) (*Lock, error) { return c.RLock(ctx, "x", WaitAtMost(0)) },
			&ldlmv2.Op{Acquire: &ldlmv2.Acquire{Name: "x", Mode: ldlmv2.Mode_MODE_SHARED}}},
		{"short wait", func(ctx context.Context, c *Client) (*Lock, error) { return c.Lock(ctx, "x", WaitAtMost(1)) },
			&ldlmv2.Op{Acquire: &ldlmv2.Acquire{Name: "x", WaitUs: 1}}},
		{"several", func(ctx context.Context, c *Client) (*Lock, error) {
			return c.LockAll(ctx, []string{"b", "a"}, Reason("both"))
		}, &ldlmv2.Op{AcquireAll: &ldlmv2.AcquireAll{
			Items: []*ldlmv2.Item{{Name: "b"}, {Name: "a"}}, WaitUs: -1, Note: &ldlmv2.Note{Reason: "both"},
		}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newFakeServer(t)
				c := srv.client()
				result := make(chan lockResult, 1)
				go func() {
					l, err := test.call(t.Context(), c)
					result <- lockResult{l, err}
				}()
				conn := srv.open()
				op := conn.op()
				test.want.Seq = 1
				if op.String() != test.want.String() {
					t.Errorf("asked %v, want %v", op, test.want)
				}
				conn.grant(op, 5)
				mustLock(t, result)
			})
		})
	}
}

func TestLockAllIsOneHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		result := make(chan lockResult, 1)
		go func() {
			l, err := c.LockAll(t.Context(), []string{"b", "a"})
			result <- lockResult{l, err}
		}()
		conn := srv.open()
		conn.answer(conn.op(), ldlmv2.Code_CODE_OK, func(a *ldlmv2.Answer) { a.Token, a.Fence, a.Fences = 5, 5, []uint64{5, 4} })
		l := mustLock(t, result)
		if fmt.Sprintf("%s %v %d %v", l.Name(), l.Names(), l.Token(), l.Fences()) != "b [b a] 5 [5 4]" {
			t.Errorf("lock is %s %v %d %v", l.Name(), l.Names(), l.Token(), l.Fences())
		}
		done := make(chan error, 1)
		go func() { done <- l.Release(t.Context()) }()
		op := conn.op()
		if r := op.GetRelease(); r.GetName() != "b" || r.GetToken() != 5 || !r.GetAll() {
			t.Errorf("release is %v, want all under token 5", r)
		}
		conn.ok(op)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestInvalidRequestsAreNotSent(t *testing.T) {
	c, err := Dial("localhost", WithDialer(dialNobody))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	long := string(make([]byte, maxRequestBytes))
	for name, call := range map[string]func() (*Lock, error){
		"name":          func() (*Lock, error) { return c.Lock(t.Context(), "a\xff") },
		"names":         func() (*Lock, error) { return c.LockAll(t.Context(), nil) },
		"size":          func() (*Lock, error) { return c.TryLock(t.Context(), "a", Size(-1)) },
		"permits":       func() (*Lock, error) { return c.TryLock(t.Context(), "a", Permits(1<<31)) },
		"wait_us":       func() (*Lock, error) { return c.RLock(t.Context(), "a", WaitAtMost(-1000)) },
		"lease_us":      func() (*Lock, error) { return c.RLock(t.Context(), "a", Lease(-1)) },
		"lock_delay_us": func() (*Lock, error) { return c.RLock(t.Context(), "a", LockDelay(-1)) },
		"max_hold":      func() (*Lock, error) { return c.RLock(t.Context(), "a", MaxHold(-1)) },
		"reason":        func() (*Lock, error) { return c.Lock(t.Context(), "a", Reason("\xff")) },
		"labels":        func() (*Lock, error) { return c.Lock(t.Context(), "a", Labels(map[string]string{"\xff": ""})) },
		"request":       func() (*Lock, error) { return c.Lock(t.Context(), long) },
	} {
		l, err := call()
		var e *Error
		if !errors.Is(err, ErrInvalid) || !errors.As(err, &e) || l != nil {
			t.Errorf("%s: %v, %v; want ErrInvalid", name, l, err)
		} else if e.Field != name {
			t.Errorf("%s: error names field %q: %v", name, e.Field, err)
		}
	}
}

func dialNobody(context.Context, string) (net.Conn, error) {
	return nil, errors.New("dialled all the same")
}
