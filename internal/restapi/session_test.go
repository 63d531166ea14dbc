package restapi_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/restapi"
)

// bubble runs a test on fake time. Connections are closed before it ends.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

func TestIdleTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const timeout = 10 * time.Second
		h := open(t, func(c *restapi.Config) { c.SessionTimeout = timeout })
		c := h.client().begin()
		if r := c.lock(`{"name":"l"}`); !r.Locked {
			t.Fatalf("%+v", r)
		}
		// Whatever is answered renews the session, and says so in the cookie.
		for _, r := range []struct {
			method, path, body string
			status             int
		}{
			{"POST", "/v1/lock", `{"name":"l"}`, 200},
			{"POST", "/v1/lock", `{"name":`, 400},
			{"POST", "/v1/lock", `{"lock_timeout_seconds":-1}`, 200},
			{"GET", "/v1/lock", "", 501},
			{"GET", "/", "", 404},
			{"POST", "/v1/unlock", `{"name":"l","key":"x"}`, 200},
			{"POST", "/v1/renew", `{"name":"l","key":"x","lock_timeout_seconds":1}`, 200},
		} {
			<-time.After(timeout - time.Millisecond)
			a := c.do(r.method, r.path, r.body)
			a.want(t, r.method+" "+r.path, r.status, "")
			if n := len(a.Cookies()); n != 1 || !a.Cookies()[0].Expires.Equal(time.Now().Add(timeout).Truncate(time.Second)) {
				t.Errorf("%s %s: cookies %v at %v", r.method, r.path, a.Cookies(), time.Now())
			}
		}
		<-time.After(timeout - time.Millisecond)
		if !h.held("l") {
			t.Error("the lock was lost before the idle time was over")
		}
		<-time.After(11 * time.Millisecond)
		if h.held("l") {
			t.Error("the lock outlives the idle time")
		}
		a := c.do("POST", "/v1/lock", `{"name":"l"}`)
		a.want(t, "after the idle time", 401, `"session cookie invalid or expired. create a new session at /session"`)
		if len(a.Cookies()) != 0 {
			t.Errorf("a refusal has cookies: %v", a.Cookies())
		}
		c.do("DELETE", "/session", "").want(t, "end what has ended", 409, "session not found")
	})
}

// A connection is nothing to a session, and its cookie is all that it is.
func TestSessionsAreCookies(t *testing.T) {
	h := open(t)
	a, b := h.client().begin(), h.client()
	key := a.lock(`{"name":"l"}`).Key
	b.cookie = a.cookie
	if r := b.do("POST", "/v1/unlock", `{"name":"l","key":"`+key+`"}`).result(t); !r.Unlocked {
		t.Errorf("by the same cookie: %+v", r)
	}
	a.lock(`{"name":"l"}`)
	again := h.client()
	again.cookie = a.cookie
	second := again.begin()
	if second.cookie == a.cookie {
		t.Error("a session was opened under the cookie of another")
	}
	second.do("DELETE", "/session", "").want(t, "end the second", 200, "")
	if !h.held("l") {
		t.Error("the end of one session has taken the lock of another")
	}
	a.do("DELETE", "/session", "").want(t, "end the first", 200, `{"session_id": ""}`)
	if h.held("l") {
		t.Error("a session has ended and holds a lock")
	}
	living := h.client().begin().cookie
	for _, cookie := range []string{
		"ldlm-session=", "ldlm-session=x", "ldlm-session=" + strings.Repeat("0", 32),
		"ldlm-session=" + strings.ToUpper(strings.TrimPrefix(living, "ldlm-session=")),
		"ldlm-session=\xff; ldlm-session=" + strings.Repeat("z", 32), strings.Repeat("ldlm-session=a; ", 1000),
	} {
		c := h.client()
		c.cookie = cookie
		c.do("GET", "/", "").want(t, fmt.Sprintf("cookie %.40q", cookie), 401, "session cookie")
	}
}

func TestPassword(t *testing.T) {
	h := open(t, passwords("old", "n:ew"))
	good := h.client()
	good.basic = ":n:ew"
	good.begin()
	for _, basic := range []string{"", "u:wrong", "old:", "u:n", "u:"} {
		for _, r := range [][2]string{{"GET", "/"}, {"POST", "/session"}, {"DELETE", "/session"}, {"POST", "/v1/lock"}, {"OPTIONS", "/v1/lock"}} {
			c := h.client()
			c.cookie, c.basic = good.cookie, basic
			a := c.do(r[0], r[1], `{"name":"l"}`)
			a.want(t, basic+" "+r[0]+" "+r[1], 401, "")
			if a.body != "" || len(a.Cookies()) != 0 || a.Header.Get("WWW-Authenticate") != `Basic realm="Restricted"` {
				t.Errorf("%q %v: %v %q", basic, r, a.Header, a.body)
			}
		}
	}
	if h.held("l") || h.node.Counts().Sessions != 1 {
		t.Errorf("refused requests had an effect: %+v", h.node.Counts())
	}
	good.basic = "anybody:old"
	if r := good.lock(`{"name":"l"}`); !r.Locked {
		t.Errorf("by the other password: %+v", r)
	}
	h.close()
	if n := strings.Count(h.log.String(), "Invalid password from client"); n != 20 {
		t.Errorf("%d lines about passwords", n)
	}
}

// No log has a cookie, a password or a whole key.
func TestNoSecretsInTheLog(t *testing.T) {
	h := open(t, passwords("a-very-secret-password"))
	c := h.client()
	c.basic = "u:a-very-secret-password"
	c.begin()
	key := c.lock(`{"name":"l","lock_timeout_seconds":9}`).Key
	c.do("POST", "/v1/renew", `{"name":"l","key":"`+key+`","lock_timeout_seconds":9}`)
	c.do("POST", "/v1/unlock", `{"name":"l","key":"`+key+`"}`)
	c.do("DELETE", "/session", "")
	h.close()
	log := h.log.String()
	for _, secret := range []string{strings.TrimPrefix(c.cookie, "ldlm-session="), key, "a-very-secret-password"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %s:\n%s", secret, log)
		}
	}
	for _, line := range []string{"Session started", "TryLock request", "TryLock response", "Renew response", "Unlock response", "Session ended"} {
		if !strings.Contains(log, line) {
			t.Errorf("the log lacks %q:\n%s", line, log)
		}
	}
}

// A page of another origin may not ask; programs, and pages of this one, may.
func TestOrigins(t *testing.T) {
	h := open(t)
	for site, status := range map[string]int{"": 201, "same-origin": 201, "none": 201, "same-site": 403, "cross-site": 403} {
		c := h.client()
		c.header = http.Header{}
		if site != "" {
			c.header.Set("Sec-Fetch-Site", site)
		}
		c.do("POST", "/session", "").want(t, "Sec-Fetch-Site: "+site, status, "")
	}
	c := h.client()
	c.header = http.Header{"Origin": {"http://elsewhere"}}
	c.do("POST", "/session", "").want(t, "another origin", 403, `"code":7`)
	c.header = http.Header{"Origin": {"http://house"}}
	c.do("POST", "/session", "").want(t, "this origin", 201, "")
}

// stalled sends a request whose body does not come, and waits until the server
// reads it.
func (h *house) stalled(c *client) net.Conn {
	h.t.Helper()
	conn := h.dial()
	fmt.Fprintf(conn, "POST /v1/lock HTTP/1.1\r\nHost: house\r\nCookie: %s\r\nContent-Length: 20\r\n\r\n{", c.cookie)
	return conn
}

// TestStalledBody: whoever sends half a request holds up its own session and no
// other, and its own not for ever.
func TestStalledBody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := open(t)
		slow, other := h.client().begin(), h.client().begin()
		first, second := h.stalled(slow), h.stalled(slow)
		synctest.Wait()
		begin := time.Now()
		if r := other.lock(`{"name":"l"}`); !r.Locked || time.Since(begin) != 0 {
			t.Errorf("another session: %+v after %v", r, time.Since(begin))
		}
		if r := slow.lock(`{"name":"m"}`); !r.Locked || time.Since(begin) != 20*time.Second {
			t.Errorf("the same session, behind two: %+v after %v", r, time.Since(begin))
		}
		for _, conn := range []net.Conn{first, second} {
			b, err := io.ReadAll(conn)
			if err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 408 ") || !strings.Contains(string(b), "Connection: close") {
				t.Errorf("half a body is answered %q, %v", b, err)
			}
		}
		// Its end waits as well.
		h.stalled(slow)
		synctest.Wait()
		begin = time.Now()
		slow.do("DELETE", "/session", "").want(t, "end", 200, "")
		if got := time.Since(begin); got != 10*time.Second {
			t.Errorf("the end came after %v", got)
		}
		h.close()
	})
}

// slowTable takes its time to acquire, and stops when it is not asked any more.
type slowTable struct {
	restapi.Node
	takes time.Duration
}

func (n *slowTable) Call(ctx context.Context, c lock.Command) (lock.Outcome, error) {
	if _, ok := c.(*lock.Acquire); ok {
		select {
		case <-time.After(n.takes):
		case <-ctx.Done():
			return lock.Outcome{}, ctx.Err()
		}
	}
	return n.Node.Call(ctx, c)
}

// A body that takes its time is no reason to take its client for gone while the
// table takes some as well.
func TestSlowBodyAndSlowTable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := open(t, func(cfg *restapi.Config) { cfg.Node = &slowTable{cfg.Node, 5 * time.Second} })
		conn := h.stalled(h.client().begin())
		<-time.After(9 * time.Second)
		fmt.Fprint(conn, `"name":"l"}        `)
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, "HTTP/1.1 200 ") || !h.held("l") {
			t.Errorf("got %q, %v", line, err)
		}
		h.close()
	})
}

// Requests of a session come one after the other, in their order.
func TestOneAfterTheOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inside, most := 0, 0
		var names []string
		h := open(t, func(cfg *restapi.Config) {
			cfg.Node = &moody{Node: cfg.Node, before: func(c lock.Command) (lock.Outcome, error, bool) {
				if a, ok := c.(*lock.Acquire); ok {
					inside++
					most = max(most, inside)
					<-time.After(time.Second)
					names = append(names, a.Items[0].Name)
					inside--
				}
				return lock.Outcome{}, nil, false
			}}
		})
		c := h.client().begin()
		done := make(chan struct{})
		for i := range 5 {
			go func() {
				c.lock(fmt.Sprintf(`{"name":"%d"}`, i))
				done <- struct{}{}
			}()
			synctest.Wait()
		}
		for range 5 {
			<-done
		}
		if most != 1 || strings.Join(names, "") != "01234" {
			t.Errorf("%d at once, in the order %v", most, names)
		}
		h.close()
	})
}

// What could not be carried out is answered 503, whatever is known of it.
func TestFailures(t *testing.T) {
	var fail error
	var outcome lock.Outcome
	h := open(t, func(cfg *restapi.Config) {
		cfg.Node = &moody{Node: cfg.Node, before: func(lock.Command) (lock.Outcome, error, bool) {
			return outcome, fail, fail != nil || outcome.Code != lock.OK
		}}
	})
	c := h.client().begin()
	ask := func(what string, status int, part string) {
		t.Helper()
		for _, r := range [][2]string{{"POST", "/v1/lock"}, {"POST", "/v1/unlock"}, {"POST", "/v1/renew"}, {"GET", "/"}, {"DELETE", "/session"}, {"POST", "/session"}} {
			a := c.do(r[0], r[1], `{"name":"l","lock_timeout_seconds":1}`)
			a.want(t, what+": "+r[0]+" "+r[1], status, part)
			if len(a.Cookies()) != 0 {
				t.Errorf("%s: %v: cookies %v", what, r, a.Cookies())
			}
		}
	}
	fail = fmt.Errorf("%w: no leader", journal.ErrRefused)
	ask("refused", 503, "nothing happened")
	fail = fmt.Errorf("%w: no majority", journal.ErrUnknown)
	ask("unknown", 503, "taken back")
	fail = errors.New("closed")
	ask("anything else", 503, `"code":14`)
	fail = nil
	outcome.Code = lock.NotLeading
	ask("an outcome without words", 503, `"code":14`)
	outcome = lock.Outcome{Code: lock.Limit, Field: lock.FieldSessions, Limit: 7}
	c.do("POST", "/session", "").want(t, "too many sessions", 429, `"code":8`)
}

// TestDrain: nothing new, but what is held may be given back.
func TestDrain(t *testing.T) {
	h := open(t)
	c := h.client().begin()
	key := c.lock(`{"name":"l","lock_timeout_seconds":60}`).Key
	h.server.Drain()
	c.do("POST", "/v1/lock", `{"name":"m"}`).want(t, "lock", 503, "shutting down")
	h.client().do("POST", "/session", "").want(t, "open a session", 503, "shutting down")
	if r := c.do("POST", "/v1/renew", `{"name":"l","key":"`+key+`","lock_timeout_seconds":9}`).result(t); !r.Locked {
		t.Errorf("renew: %+v", r)
	}
	if r := c.do("POST", "/v1/unlock", `{"name":"l","key":"`+key+`"}`).result(t); !r.Unlocked {
		t.Errorf("unlock: %+v", r)
	}
}

// TestStop: nobody holds up the end: neither half a header, nor half a body, nor
// who waits for its turn, nor who is connected and silent.
func TestStop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := open(t)
		c := h.client().begin()
		c.lock(`{"name":"held"}`)
		body := h.stalled(c)
		silent, header := h.dial(), h.dial()
		fmt.Fprint(header, "POST /session HTTP/1.1\r\nHo")
		synctest.Wait()
		waiting := make(chan *answer)
		go func() { waiting <- c.do("POST", "/v1/lock", `{"name":"l"}`) }()
		synctest.Wait()
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		stopped := make(chan struct{})
		go func() { h.server.Stop(ctx); close(stopped) }()
		(<-waiting).want(t, "who waited", 503, "shutting down")
		if b, err := io.ReadAll(body); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 503 ") {
			t.Errorf("half a body is answered %q, %v", b, err)
		}
		<-stopped
		if got := time.Since(begin); got > time.Second {
			t.Errorf("the end took %v", got)
		}
		for _, conn := range []net.Conn{silent, header} {
			if _, err := conn.Read(make([]byte, 1)); err == nil {
				t.Error("a silent connection was answered")
			}
		}
		if !h.held("held") {
			t.Error("the end of the server has ended a session")
		}
		h.close()
	})
}

// TestHangUp: whoever does not wait for the answer does not get the lock.
func TestHangUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		asked := make(chan struct{}, 1)
		h := open(t, func(cfg *restapi.Config) {
			cfg.Node = &moody{Node: cfg.Node, before: func(c lock.Command) (lock.Outcome, error, bool) {
				if _, ok := c.(*lock.Acquire); ok {
					asked <- struct{}{}
					<-time.After(time.Second)
				}
				return lock.Outcome{}, nil, false
			}}
		})
		c := h.client().begin()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := c.try(ctx, "POST", "/v1/lock", strings.NewReader(`{"name":"l"}`))
			done <- err
		}()
		<-asked
		cancel()
		if err := <-done; err == nil {
			t.Error("who hung up got an answer")
		}
		<-time.After(2 * time.Second)
		if h.held("l") {
			t.Error("who hung up has the lock")
		}
		h.close()
	})
}
