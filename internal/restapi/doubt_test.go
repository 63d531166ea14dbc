package restapi_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/certs/certstest"
	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/journal/memory"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/node"
	"github.com/ldlm-io/ldlm/internal/restapi"
)

// forgetful is a journal that carries everything out and may not say so.
type forgetful struct {
	journal.Journal
	silent *atomic.Bool
}

func (f forgetful) Propose(ctx context.Context, b journal.Batch) error {
	err := f.Journal.Propose(ctx, b)
	if err == nil && f.silent.Load() {
		err = fmt.Errorf("%w: silence", journal.ErrUnknown)
	}
	return err
}

// TestUnknownOutcome: what could not be learned in time is answered 503, and taken
// back as soon as it can be.
func TestUnknownOutcome(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var silent atomic.Bool
		n, err := node.Open(node.Config{}, func(m journal.Machine) (journal.Journal, error) {
			j, err := memory.Open(m)
			return forgetful{j, &silent}, err
		})
		if err != nil {
			t.Fatal(err)
		}
		h := open(t, func(c *restapi.Config) { c.Node = n })
		c := h.client().begin()
		held := func() bool {
			v, ok, err := n.Lookup(t.Context(), "l")
			if err != nil {
				t.Fatal(err)
			}
			return ok && len(v.Holders) > 0
		}
		silent.Store(true)
		begin := time.Now()
		c.do("POST", "/v1/lock", `{"name":"l"}`).want(t, "in silence", 503, "taken back")
		if got := time.Since(begin); got > 11*time.Second {
			t.Errorf("it took %v to say so", got)
		}
		silent.Store(false)
		<-time.After(time.Minute)
		if held() {
			t.Error("the lock was not taken back")
		}
		if r := c.lock(`{"name":"l"}`); !r.Locked {
			t.Errorf("afterwards: %+v", r)
		}
		h.close()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
}

// interrupted is a node whose client is gone when it has granted.
type interrupted struct {
	restapi.Node
	client func() io.Closer
}

func (i interrupted) Call(ctx context.Context, c lock.Command) (lock.Outcome, error) {
	o, err := i.Node.Call(ctx, c)
	switch c.(type) {
	case *lock.Acquire, *lock.Open:
		if conn := i.client(); conn != nil {
			_ = conn.Close()
		}
	}
	return o, err
}

// TestUndelivered: an answer that cannot be handed over gives nothing.
func TestUndelivered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var conn net.Conn
		h := open(t, func(c *restapi.Config) {
			c.Node = interrupted{c.Node, func() io.Closer {
				if conn == nil {
					return nil
				}
				return conn
			}}
		})
		c := h.client().begin()
		conn = h.dial()
		fmt.Fprintf(conn, "POST /v1/lock HTTP/1.1\r\nHost: h\r\nCookie: %s\r\nContent-Length: 12\r\n\r\n{\"name\":\"l\"}", c.cookie)
		synctest.Wait()
		if h.held("l") {
			t.Error("a lock that nobody has the key of is held")
		}
		conn = h.dial()
		fmt.Fprint(conn, "POST /session HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
		synctest.Wait()
		if n := h.node.Counts().Sessions; n != 1 {
			t.Errorf("%d sessions are open, of which one client knows", n)
		}
		conn = nil
		h.close()
	})
}

// got is what is wanted of an answer.
type got struct {
	status, version int
	cookies         []*http.Cookie
	body            string
}

// askOver posts a request over a transport.
func askOver(t *testing.T, transport http.RoundTripper, path, cookie string, body io.Reader) got {
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://localhost"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Cookie", cookie)
	r, err := (&http.Client{Transport: transport}).Do(q)
	if err != nil {
		t.Error(err)
		return got{}
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	return got{r.StatusCode, r.ProtoMajor, r.Cookies(), string(b)}
}

// TestHTTP2: many requests share a connection, and one that stalls holds up its
// session alone.
func TestHTTP2(t *testing.T) {
	a := certstest.New(t)
	pair := a.Issue("server", time.Now().Add(time.Hour))
	client := a.Client()
	bubble(t, func(t *testing.T) {
		h := open(t, func(c *restapi.Config) {
			c.TLS = &tls.Config{Certificates: []tls.Certificate{pair.TLS}, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12}
		})
		dials := 0
		transport := &http.Transport{
			TLSClientConfig: client, ForceAttemptHTTP2: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				dials++
				return h.pipe.DialContext(ctx)
			},
		}
		defer transport.CloseIdleConnections()
		ask := func(path, cookie string, body io.Reader) got { return askOver(t, transport, path, cookie, body) }
		session := func() string {
			r := ask("/session", "", http.NoBody)
			if r.version != 2 || r.status != http.StatusCreated || !r.cookies[0].Secure {
				t.Fatalf("%+v", r)
			}
			return "ldlm-session=" + r.cookies[0].Value
		}
		slow, other := session(), session()
		reader, writer := io.Pipe()
		stalled := make(chan int)
		go func() {
			stalled <- ask("/v1/lock", slow, reader).status
		}()
		synctest.Wait()
		begin := time.Now()
		if r := ask("/v1/lock", other, strings.NewReader(`{"name":"l"}`)); r.status != http.StatusOK || time.Since(begin) != 0 {
			t.Errorf("another session on the connection: %+v after %v", r, time.Since(begin))
		}
		if r := ask("/v1/lock", other, bytes.NewReader(make([]byte, 2<<20))); r.status != http.StatusRequestEntityTooLarge {
			t.Errorf("a large body: %+v", r)
		}
		if got := <-stalled; got != http.StatusRequestTimeout || time.Since(begin) != 10*time.Second {
			t.Errorf("half a body: %d after %v", got, time.Since(begin))
		}
		writer.Close()
		if dials != 1 {
			t.Errorf("%d connections", dials)
		}
		transport.CloseIdleConnections()
		h.close()
	})
}
