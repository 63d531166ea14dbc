package ldlm

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

func TestAddresses(t *testing.T) {
	for text, want := range map[string][]address{
		"a":              {{"a:3144", "tcp", "a:3144", "a"}},
		" a , b:1 ,":     {{"a:3144", "tcp", "a:3144", "a"}, {"b:1", "tcp", "b:1", "b"}},
		"::1":            {{"[::1]:3144", "tcp", "[::1]:3144", "::1"}},
		"[::1]":          {{"[::1]:3144", "tcp", "[::1]:3144", "::1"}},
		"[::1]:9":        {{"[::1]:9", "tcp", "[::1]:9", "::1"}},
		"[fe80::1%eth0]": {{"[fe80::1%eth0]:3144", "tcp", "[fe80::1%eth0]:3144", "fe80::1%eth0"}},
		":9":             {{"localhost:9", "tcp", "localhost:9", "localhost"}},
		"unix:/run/l":    {{"unix:/run/l", "unix", "/run/l", "localhost"}},
		"unix:///run/l":  {{"unix:///run/l", "unix", "/run/l", "localhost"}},
		"unix:relative":  {{"unix:relative", "unix", "relative", "localhost"}},
		"a:1,unix:/b:c ": {{"a:1", "tcp", "a:1", "a"}, {"unix:/b:c", "unix", "/b:c", "localhost"}},
	} {
		got, err := parseAddresses(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", " , ", "a:b", "a:0", "a:65536", "a:1:b:", "unix:", "http://a", "a b", "[::1", "u@h", "::0%0]", "::%a%b"} {
		if got, err := parseAddresses(text); err == nil {
			t.Errorf("%q is %+v, want an error", text, got)
		}
		if _, err := Dial(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("Dial(%q): %v, want ErrInvalid", text, err)
		}
	}
}

func FuzzAddresses(f *testing.F) {
	for _, text := range []string{"a,b:1,[::1]:2,unix:/x", "::", "[", "unix:", ",,", "a:99999"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseAddresses(text)
		if err != nil {
			return
		}
		for _, a := range all {
			again, err := parseAddress(a.text)
			if err != nil || again != a {
				t.Errorf("%q: address %+v is read back as %+v, %v", text, a, again, err)
			}
		}
	})
}

func TestBadOptions(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, option := range map[string]DialOption{
		"no TLS configuration":    WithTLSConfig(nil),
		"no such file":            WithTLSFiles(filepath.Join(dir, "none"), "", ""),
		"no authority in it":      WithTLSFiles(empty, "", ""),
		"no key":                  WithTLSFiles("", empty, ""),
		"no certificate in it":    WithTLSFiles("", empty, empty),
		"negative ttl":            WithTTL(-1),
		"no dialer":               WithDialer(nil),
		"labels that are odd":     WithLabels(map[string]string{"\xff": "x"}),
		"password that is odd":    WithPassword("\xff"),
		"information that is odd": WithClientInfo(ClientInfo{Host: "\xff"}),
	} {
		if c, err := Dial("localhost", option); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, %v; want ErrInvalid", name, c, err)
		}
	}
}

func TestWhatTheClientSaysOfItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			opts []DialOption
			want func(*ldlmv2.Hello) bool
		}{
			{nil, func(h *ldlmv2.Hello) bool {
				return h.GetVersion() == 2 && h.GetCredential() == "" && h.GetTtlUs() == 0 && len(h.GetSecret()) == secretBytes &&
					h.GetClient().GetPid() == int64(os.Getpid()) && h.GetClient().GetLibrary() != "" && h.GetClient().GetProgram() != ""
			}},
			{[]DialOption{WithPassword("p"), WithTTL(time.Minute), WithSessionValue([]byte("v"))}, func(h *ldlmv2.Hello) bool {
				return h.GetCredential() == "p" && h.GetTtlUs() == 60e6 && string(h.GetValue()) == "v"
			}},
			{[]DialOption{WithLabels(map[string]string{"a": "1"}), WithClientInfo(ClientInfo{Host: "h", Labels: map[string]string{"b": "2"}})},
				func(h *ldlmv2.Hello) bool {
					i := h.GetClient()
					return i.GetHost() == "h" && i.GetPid() == 0 && fmt.Sprint(i.GetLabels()) == "map[a:1 b:2]"
				}},
		} {
			srv := newFakeServer(t)
			c := srv.client(test.opts...)
			lockAsync(t.Context(), c, "x", WaitAtMost(1))
			conn := srv.accept()
			if h := conn.hello(); !test.want(h) {
				t.Errorf("hello is %v", h)
			}
			srv.close()
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		conn, l := openWithLock(t, srv, c, "x", 1)
		ctx := l.Context(t.Context())
		waiting := lockAsync(t.Context(), c, "y")
		conn.answer(conn.op(), ldlmv2.Code_CODE_QUEUED)
		synctest.Wait()
		closed := make(chan error, 2)
		go func() { closed <- c.Close() }()
		if f := conn.frame(); f.Close == nil {
			t.Errorf("frame is %v, want the end of the session", f)
		}
		if r := <-waiting; !errors.Is(r.err, ErrClosed) {
			t.Errorf("waiting lock: %v, want ErrClosed", r.err)
		}
		<-ctx.Done()
		if err := context.Cause(ctx); err != ErrReleased {
			t.Errorf("the lock's context ended with %v, want ErrReleased", err)
		}
		select {
		case err := <-closed:
			t.Fatalf("Close returned before the server had ended the session: %v", err)
		default:
		}
		conn.send(&ldlmv2.ServerFrame{End: &ldlmv2.Status{Code: ldlmv2.Code_CODE_OK}})
		if err := <-closed; err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := c.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
		if _, err := c.Lock(t.Context(), "x"); !errors.Is(err, ErrClosed) || !SafeToRetry(err) {
			t.Errorf("Lock after Close: %v, want ErrClosed", err)
		}
		if err := l.Release(t.Context()); err != nil {
			t.Errorf("Release after Close: %v", err)
		}
	})
}

func TestCloseWithoutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		openWithLock(t, srv, c, "x", 1)
		start := time.Now()
		if err := c.Close(); !errors.Is(err, ErrUnknownOutcome) {
			t.Errorf("Close: %v, want an unknown outcome", err)
		}
		if got := time.Since(start); got != farewellPatience {
			t.Errorf("Close took %s, want %s", got, farewellPatience)
		}
	})
}

func TestCloseOfAnUnusedClient(t *testing.T) {
	c, err := Dial("localhost")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestCloseWhileConnecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newFakeServer(t)
		c := srv.client()
		result := lockAsync(t.Context(), c, "x")
		srv.accept().hello()
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if r := <-result; !errors.Is(r.err, ErrClosed) {
			t.Errorf("Lock: %v, want ErrClosed", r.err)
		}
	})
}

func TestUnixSocket(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no unix sockets to rely on")
	}
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		b := make([]byte, 8)
		_, _ = io.ReadFull(conn, b)
		accepted <- string(b)
	}()
	c := dialRemote(t, "unix:"+path)
	if _, err := c.TryLock(t.Context(), "x"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("TryLock: %v, want ErrUnavailable from a server that hangs up", err)
	}
	if got := <-accepted; got != "LDLM/2\r\n" {
		t.Errorf("the connection began with %q", got)
	}
}

// breaking is a connection whose reads fail at a test's word.
type breaking struct {
	net.Conn
	broken chan error
}

func (b *breaking) Read(p []byte) (int, error) {
	type read struct {
		n   int
		err error
	}
	done := make(chan read, 1)
	go func() {
		n, err := b.Conn.Read(p)
		done <- read{n, err}
	}()
	select {
	case r := <-done:
		return r.n, r.err
	case err := <-b.broken:
		return 0, err
	}
}

// With release on disconnect a connection that broke for a reason of this side
// may be the end of the session for the server.
func TestReleaseOnDisconnectWhenTheConnectionBreaks(t *testing.T) {
	for _, test := range []struct {
		err  error
		lost bool
	}{
		{&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ETIMEDOUT)}, true},
		{io.EOF, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			srv := newFakeServer(t)
			broken := make(chan error)
			c := srv.client(WithReleaseOnDisconnect(), WithDialer(func(ctx context.Context, a string) (net.Conn, error) {
				conn, err := srv.dial(ctx, a)
				if err != nil {
					return nil, err
				}
				return &breaking{conn, broken}, nil
			}))
			_, l := openWithLock(t, srv, c, "x", 1)
			broken <- test.err
			synctest.Wait()
			if test.lost {
				wantLost(t, l, ReasonSessionClosed)
				return
			}
			srv.resume(1)
			synctest.Wait()
			if err := l.Err(); err != nil {
				t.Errorf("after %v: %v", test.err, err)
			}
		})
	}
}

func TestOptionsAreNotShared(t *testing.T) {
	info := WithClientInfo(ClientInfo{Labels: map[string]string{"a": "1"}})
	var all []*Client
	for _, label := range []string{"b", "c"} {
		c, err := Dial("localhost", info, WithLabels(map[string]string{label: "2"}), WithTLSConfig(&tls.Config{}))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		all = append(all, c)
	}
	if got := fmt.Sprint(all[0].config.info.Labels, all[1].config.info.Labels); got != "map[a:1 b:2] map[a:1 c:2]" {
		t.Errorf("labels are %s", got)
	}
}

func TestBackoff(t *testing.T) {
	for failures := range 100 {
		var seen []time.Duration
		bound := maxBackoff
		if failures < 5 {
			bound = firstBackoff << failures
		}
		for range 50 {
			d := backoff(failures)
			if d < 0 || d >= bound {
				t.Fatalf("after %d failures: %s, want less than %s", failures, d, bound)
			}
			seen = append(seen, d)
		}
		if slices.Min(seen) > bound/2 || slices.Max(seen) < bound/2 {
			t.Errorf("after %d failures all of 50 are on one side of %s", failures, bound/2)
		}
	}
}
