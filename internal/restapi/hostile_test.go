package restapi_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/restapi"
)

func TestBodies(t *testing.T) {
	h := open(t)
	c := h.client().begin()
	long := strings.Repeat("n", 1<<16)
	for _, r := range []struct {
		what, body string
		status     int
		part       string
	}{
		{"numbers as strings", `{"name":"a","size":"2","lock_timeout_seconds":"20"}`, 200, `"locked":true`},
		{"numbers with a point", `{"name":"b","size":1.0,"lock_timeout_seconds":1e0}`, 200, `"locked":true`},
		{"a fraction", `{"name":"c","size":1.5}`, 400, `"code":3`},
		{"beyond int32", `{"name":"c","size":2147483648}`, 400, `"code":3`},
		{"the largest size", `{"name":"max","size":2147483647}`, 200, `"locked":true`},
		{"text after the value", `{"name":"d"} and then some`, 200, `"locked":true`},
		{"only blanks", "  \n", 200, "lock name cannot be empty"},
		{"an array", `[]`, 400, `"details":[]`},
		{"null", `null`, 400, `"code":3`},
		{"a number", `5`, 400, `"code":3`},
		{"invalid UTF-8", "{\"name\":\"\xff\"}", 400, "UTF-8"},
		{"the same field twice", `{"name":"a","name":"b"}`, 400, `"code":3`},
		{"nested too deeply", strings.Repeat("[", 100_000), 400, `"code":3`},
		{"unknown fields nested deeply", `{"x":` + strings.Repeat("[", 9998) + strings.Repeat("]", 9998) + `}`, 200, "lock name cannot be empty"},
		{"unknown fields nested too deeply", `{"x":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`, 400, `"code":3`},
		{"every character escaped", `{"name":"` + strings.Repeat(`\u0001`, 1<<16) + `"}`, 200, `"locked":true`},
		{"a name of the limit", `{"name":"` + long + `"}`, 200, `"locked":true`},
		{"a name beyond the limit", `{"name":"` + long + `n"}`, 200, "lock name is longer than 65536 bytes"},
		{"odd characters", `{"name":"\u0000\"<>&é\ud83d\ude00"}`, 200, `"locked":true`},
	} {
		c.do("POST", "/v1/lock", r.body).want(t, r.what, r.status, r.part)
	}
	c.header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	if r := c.lock(`{"name":"form"}`); !r.Locked {
		t.Errorf("as curl sends it: %+v", r)
	}
}

// blanks is a body of so many blanks.
type blanks struct{ left int64 }

func (b *blanks) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), b.left)
	for i := range p[:n] {
		p[i] = ' '
	}
	b.left -= n
	return int(n), nil
}

// A body of 64 MB is refused, and who sends it is told; session and server go on.
func TestHugeBodies(t *testing.T) {
	h := open(t)
	c := h.client().begin()
	for range 2 {
		a, err := c.try(t.Context(), "POST", "/v1/lock", &blanks{64 << 20})
		if err != nil {
			t.Fatal(err)
		}
		a.want(t, "64 MB", 413, "larger than 1048576 bytes")
	}
	conn := h.dial()
	fmt.Fprintf(conn, "POST /v1/lock HTTP/1.1\r\nHost: h\r\nCookie: %s\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n", c.cookie)
	r := bufio.NewReader(conn)
	if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 413 ") {
		t.Errorf("who asks first: %q, %v", line, err)
	}
	if r := c.lock(`{"name":"l"}`); !r.Locked {
		t.Errorf("afterwards: %+v", r)
	}
}

func TestMethodsAndPaths(t *testing.T) {
	h := open(t)
	c := h.client().begin()
	for _, r := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/v1/lock", 501}, {"PUT", "/v1/unlock", 501}, {"DELETE", "/v1/renew", 501}, {"PATCH", "/v1/refreshlock", 501},
		{"OPTIONS", "/v1/lock", 501}, {"HEAD", "/v1/lock", 501}, {"BREW", "/v1/lock", 501},
		{"POST", "/v1/lock/", 404}, {"POST", "//v1/lock", 404}, {"POST", "/v1//lock", 404}, {"POST", "/v1/../v1/lock", 404},
		{"POST", "/V1/lock", 404}, {"POST", "/v1/lock?x=y", 200}, {"POST", "/session/", 404}, {"PUT", "/session", 404},
		{"GET", "/session", 404}, {"GET", "/", 404}, {"GET", "/debug/pprof/", 404}, {"POST", "/session?x", 201},
	} {
		a := c.do(r.method, r.path, `{"name":"`+r.path+`"}`)
		a.want(t, r.method+" "+r.path, r.status, "")
		if a.Header.Get("Location") != "" {
			t.Errorf("%s %s leads elsewhere: %v", r.method, r.path, a.Header)
		}
	}
}

// exchange writes bytes and returns all that comes back, to the end of the
// connection.
func exchange(t *testing.T, conn net.Conn, text string) string {
	t.Helper()
	go func() { _, _ = io.WriteString(conn, text) }()
	b, err := io.ReadAll(conn)
	if err != nil {
		t.Errorf("%.30q: %v", text, err)
	}
	return string(b)
}

func TestGarbage(t *testing.T) {
	h := open(t, passwords("p"))
	for text, want := range map[string]string{
		"\x00\x01\x02\r\n\r\n":                                             "HTTP/1.1 400 ",
		"LDLM/2\r\n\r\n":                                                   "HTTP/1.1 400 ",
		"GET / HTTP/9.9\r\n\r\n":                                           "HTTP/1.1 505 ",
		"GET / HTTP/1.1\r\n\r\n":                                           "HTTP/1.1 400 ",
		"OPTIONS * HTTP/1.0\r\n\r\n":                                       "HTTP/1.0 401 ",
		"GET http://h/ HTTP/1.0\r\n\r\n":                                   "HTTP/1.0 401 ",
		"CONNECT h:80 HTTP/1.0\r\n\r\n":                                    "HTTP/1.0 401 ",
		"GET / HTTP/1.0\r\nContent-Length: -1\r\n\r\n":                     "HTTP/1.1 400 ",
		"GET / HTTP/1.0\r\nX: " + strings.Repeat("x", 80<<10) + "\r\n\r\n": "HTTP/1.1 431 ",
	} {
		if got := exchange(t, h.dial(), text); !strings.HasPrefix(got, want) {
			t.Errorf("%.40q is answered %q, want %q", text, got, want)
		}
	}
}

// TestSlowClients: who sends nothing, half a header, or nothing after a first
// request is cut off in time.
func TestSlowClients(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := open(t)
		cut := func(what, text string, want time.Duration) {
			t.Helper()
			conn := h.dial()
			begin := time.Now()
			exchange(t, conn, text)
			if got := time.Since(begin); got != want {
				t.Errorf("%s was cut off after %v, want %v", what, got, want)
			}
		}
		cut("silence", "", 10*time.Second)
		cut("half a header", "POST /v1/lock HTTP/1.1\r\nHost: h\r\nX-", 10*time.Second)
		cut("an idle connection", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 2*time.Minute)
		cut("a stranger whose body does not come", "POST /v1/lock HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\n\r\n{", 2*time.Second)
		h.close()
	})
}

// TestStrangersBodies: who has made a cookie up is told so before anything large
// is read, even if it never comes.
func TestStrangersBodies(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := open(t)
		for _, how := range []string{"Content-Length: 1000000\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n"} {
			begin := time.Now()
			got := exchange(t, h.dial(), "POST /v1/lock HTTP/1.1\r\nHost: h\r\nCookie: ldlm-session="+strings.Repeat("a", 32)+"\r\n"+how)
			// Of what may be short the rest is waited for, so that the answer arrives.
			if !strings.HasPrefix(got, "HTTP/1.1 401 ") || time.Since(begin) > 2*time.Second {
				t.Errorf("%q: after %v: %q", how, time.Since(begin), got)
			}
		}
		c := h.client().begin()
		if r := c.lock(`{"name":"l"` + strings.Repeat(" ", 1<<19) + "}"); !r.Locked {
			t.Errorf("a large body in a session: %+v", r)
		}
		h.close()
	})
}

// A client that does not read its answers is cut off.
func TestSlowReader(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := open(t)
		conn := h.dial()
		begin := time.Now()
		line := []byte("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		var err error
		for err == nil {
			_, err = conn.Write(bytes.Repeat(line, 1000))
		}
		if got := time.Since(begin); got > 30*time.Second {
			t.Errorf("it was cut off after %v", got)
		}
		h.close()
	})
}

// TestCrowd: the connection that was quiet for longest makes room, never one with
// a request.
func TestCrowd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const most = 8
		h := open(t, func(c *restapi.Config) { c.MaxConnections = most })
		c := h.client().begin()
		busy := h.stalled(c)
		synctest.Wait()
		var quiet []net.Conn
		for range 3 * most {
			quiet = append(quiet, h.dial())
			synctest.Wait()
		}
		open := 0
		for _, conn := range quiet {
			_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := conn.Read(make([]byte, 1)); err != nil && err != io.EOF && !strings.Contains(err.Error(), "closed") {
				open++
			}
		}
		if open != most-1 {
			t.Errorf("%d quiet connections are left, want %d", open, most-1)
		}
		fmt.Fprint(busy, `"name":"a"}        `)
		if line, err := bufio.NewReader(busy).ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 200 ") {
			t.Errorf("the busy one: %q, %v", line, err)
		}
		h.close()
	})
}

// FuzzBodies: whatever a body is, it is answered, and the server goes on.
func FuzzBodies(f *testing.F) {
	for _, s := range []string{
		"", "{", "null", `{"name":"a","size":1,"lock_timeout_seconds":1}`, `{"name":"a","key":"2a56ba52-fd02-4dd4-ae35-0c9990c16300"}`,
		`{"lockTimeoutSeconds":"1e9"}`, `{"name":"\ud800"}`, "{\"name\":\"\xff\"}", `{"name":{}}`, `[[[[`, `{"x":[{"y":null}]} x`,
	} {
		for path := range 4 {
			f.Add(s, path)
		}
	}
	f.Fuzz(func(t *testing.T, body string, path int) {
		h := open(t)
		c := h.client().begin()
		paths := []string{"/v1/lock", "/v1/unlock", "/v1/renew", "/v1/refreshlock"}
		a := c.do("POST", paths[uint(path)%uint(len(paths))], body)
		if !slices.Contains([]int{http.StatusOK, http.StatusBadRequest, http.StatusRequestEntityTooLarge}, a.StatusCode) {
			t.Errorf("%q: %s %s", body, a.Status, a.body)
		}
		if a.StatusCode == http.StatusOK {
			a.result(t)
		}
		c.do("DELETE", "/session", "").want(t, "afterwards", 200, "")
		h.close()
	})
}

// FuzzRequests: whatever a header is, the server goes on, and nobody gets into a
// session without its cookie.
func FuzzRequests(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: h\r\nCookie: ldlm-session=\r\n\r\n", "POST /session HTTP/1.0\r\n\r\n",
		"DELETE /session HTTP/1.1\r\nHost: h\r\nCookie: ldlm-session=00000000000000000000000000000000; x\r\n\r\n",
		"POST /v1/lock HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nCookie: ldlm-session=\"a\"\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Basic =\r\nOrigin: ::\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, request []byte) {
		h := open(t)
		owner := h.client().begin()
		owner.lock(`{"name":"mine"}`)
		conn := h.dial()
		_, _ = conn.Write(request)
		_ = conn.Close()
		if !h.held("mine") {
			t.Errorf("%q has taken a lock away", request)
		}
		owner.do("DELETE", "/session", "").want(t, "afterwards", 200, "")
		h.close()
	})
}
