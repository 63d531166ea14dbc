package ldlm_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/journal/memory"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/node"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// realServer is the real thing in memory: a node, and sessions over whatever
// connections a test makes.
type realServer struct {
	node     *node.Node
	sessions *sessionapi.Server
	serving  sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn // the server's ends
	down  bool
}

func newRealServer(t testing.TB) *realServer {
	t.Helper()
	n, err := node.Open(node.Config{}, memory.Open)
	if err != nil {
		t.Fatal(err)
	}
	r := &realServer{node: n, sessions: sessionapi.New(sessionapi.Config{Node: below{n}, Immediate: true})}
	t.Cleanup(func() {
		r.sessions.Close()
		r.serving.Wait()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// dial connects within the process; it is for [ldlm.WithDialer].
func (r *realServer) dial(context.Context, string) (net.Conn, error) {
	near, far := net.Pipe()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return nil, errors.New("the network is down")
	}
	r.conns = append(r.conns, far)
	r.serving.Go(func() {
		preface := make([]byte, len(wire.Preface))
		if _, err := far.Read(preface); err != nil {
			return
		}
		_ = r.sessions.Serve(context.Background(), sessionapi.Plain(wire.NewConn(far, 5*time.Second)))
	})
	return near, nil
}

// listen serves a port, for speed.
func (r *realServer) listen(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.serving.Go(func() {
				preface := make([]byte, len(wire.Preface))
				if _, err := c.Read(preface); err == nil {
					_ = r.sessions.Serve(context.Background(), sessionapi.Plain(wire.NewConn(c, 5*time.Second)))
				}
			})
		}
	})
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// cut closes all connections, and says whether new ones can be made.
func (r *realServer) cut(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
	for _, c := range r.conns {
		c.Close()
	}
	r.conns = nil
}

// holders returns how many hold a lock and how many wait for it.
func (r *realServer) holders(t testing.TB, name string) (holds, waits int) {
	t.Helper()
	v, ok, err := r.node.Lookup(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return 0, 0
	}
	return v.HolderCount, v.WaiterCount
}

// realClient returns a client of a server, closed with the test.
func realClient(t testing.TB, r *realServer, opts ...ldlm.DialOption) *ldlm.Client {
	t.Helper()
	c, err := ldlm.Dial("real", append([]ldlm.DialOption{ldlm.WithDialer(r.dial)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// below is a node as sessions want it.
type below struct{ *node.Node }

func (b below) Attach(ctx context.Context, open *lock.Open) (sessionapi.Link, lock.Outcome, error) {
	return linkOf(b.Node.Attach(ctx, open))
}

func (b below) Resume(ctx context.Context, resume *lock.Resume) (sessionapi.Link, lock.Outcome, error) {
	return linkOf(b.Node.Resume(ctx, resume))
}

func linkOf(l *node.Link, o lock.Outcome, err error) (sessionapi.Link, lock.Outcome, error) {
	if l == nil {
		return nil, o, err
	}
	return &sessionLink{Link: l}, o, nil
}

type sessionLink struct {
	*node.Link
	taken  []node.Notice
	notice sessionapi.Notice
}

func (l *sessionLink) Take(each func(*sessionapi.Notice)) {
	l.taken = l.Link.Take(l.taken[:0])
	kinds := map[node.NoticeKind]sessionapi.NoticeKind{
		node.Answer: sessionapi.Answer, node.Lost: sessionapi.Lost, node.Revoked: sessionapi.Revoked,
	}
	for i := range l.taken {
		n := &l.taken[i]
		if kind, ok := kinds[n.Kind]; ok {
			l.notice = sessionapi.Notice{
				Kind: kind, Reason: n.Reason, Slot: n.Slot, Seq: n.Seq, Name: n.Name, Token: n.Token, Outcome: &n.Outcome,
			}
			each(&l.notice)
		}
	}
}

func (l *sessionLink) Why() (lock.Code, lock.EndReason) {
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

func BenchmarkRealPair(b *testing.B) {
	for _, workers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprint(workers), func(b *testing.B) {
			c, err := ldlm.Dial(newRealServer(b).listen(b))
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			pairs(b, c, workers)
		})
	}
}
