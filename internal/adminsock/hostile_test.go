package adminsock

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// endless is a node with more grants than anybody reads.
type endless struct{}

func (endless) Call(context.Context, lock.Command) (lock.Outcome, error) {
	return lock.Outcome{}, nil
}

func (endless) List(_ context.Context, _ lock.LockFilter, after uint64, _ int) ([]lock.LockView, uint64, error) {
	v := lock.LockView{Name: strings.Repeat("x", 1000), Size: 1, HolderCount: 1, Holders: []lock.HoldView{{Token: 1}}}
	return []lock.LockView{v}, after + 1, nil
}

func (endless) Holders(context.Context, string, lock.Token, int) ([]lock.HoldView, error) {
	return nil, nil
}

// pipeServer is a server without a socket, for connections that the test makes.
func pipeServer(t *testing.T) *Server {
	t.Helper()
	s := &Server{node: endless{}, log: slog.New(slog.DiscardHandler)}
	s.ctx, s.end = context.WithCancel(t.Context())
	t.Cleanup(s.end)
	return s
}

// ask sends bytes to a server and returns the first line of its answer.
func ask(t *testing.T, question []byte) *reply {
	t.Helper()
	s := pipeServer(t)
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() { defer close(done); s.serve(theirs) }()
	go func() {
		_, _ = ours.Write(question) // the server may stop reading before the end
	}()
	line, err := readLine(bufio.NewReader(ours))
	if err != nil {
		t.Fatalf("%.60q: %v", question, err)
	}
	var r reply
	if err := decodeLine(line, &r); err != nil {
		t.Fatalf("%.60q: %v", question, err)
	}
	_ = ours.Close()
	<-done
	return &r
}

func TestBadRequests(t *testing.T) {
	for _, c := range []struct{ question, part string }{
		{"\n", "EOF"},
		{"null\n", "no operation"},
		{"[]\n", "not a line of this protocol"},
		{"{}\n", `no operation ""`},
		{`{"op":"list","op":"drop"}` + "\n", `no operation "drop"`},
		{`{"op":"list"}{}` + "\n", "more than one value"},
		{`{"op":"list"} x` + "\n", "more than one value"},
		{`{"op":"list","name":"a"}` + "\n", "takes neither"},
		{`{"op":"list","key":""}` + "\n", "takes neither"},
		{`{"op":"reload","name":"a"}` + "\n", "takes neither"},
		{`{"op":"unlock","name":"a","level":"info"}` + "\n", "takes neither"},
		{`{"op":"log_level","level":"info","key":"k"}` + "\n", "takes neither"},
		{`{"op":"log_level"}` + "\n", "needs a level"},
		{`{"op":"list","extra":1}` + "\n", "extra"},
		{`{"op":"unlock","name":1}` + "\n", "number"},
		{"{\"op\":\"unlock\",\"name\":\"\xff\"}\n", "UTF-8"},
		{`{"op":"` + strings.Repeat("x", 1000) + `"}` + "\n", "no operation"},
		{strings.Repeat("x", 2*maxLineBytes), "longer than the limit of 1048576 bytes"},
		{strings.Repeat("[", maxLineBytes-1) + "\n", "not a line of this protocol"},
	} {
		r := ask(t, []byte(c.question))
		if r.Error == nil || r.Error.Code != BadRequest || !strings.Contains(r.Error.Message, c.part) {
			t.Errorf("%.60q: answered %+v, want a bad request that says %s", c.question, r.Error, c.part)
		}
		if r.Error != nil && len(r.Error.Message) > 200 {
			t.Errorf("%.60q: the answer has %d bytes", c.question, len(r.Error.Message))
		}
	}
	if r := ask(t, []byte(`{"op":"unlock","name":"a","key":null}`+"\n")); r.Error == nil || r.Error.Code != NotFound {
		t.Errorf("a good request is answered %+v", r)
	}
}

// A peer that does not speak, or not to the end, or does not listen, has ten
// seconds; the end of the server ends it at once.
func TestSlowPeers(t *testing.T) {
	for name, c := range map[string]struct {
		question string
		read     int
		end      bool
		want     time.Duration
	}{
		"silent":                  {"", 0, false, patience},
		"half a line":             {`{"op":`, 0, false, patience},
		"does not read":           {`{"op":"list"}` + "\n", 0, false, patience},
		"stops reading":           {`{"op":"list"}` + "\n", 3 * flushBytes, false, patience},
		"silent, server ends":     {"", 0, true, 0},
		"not reading, server end": {`{"op":"list"}` + "\n", 0, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := pipeServer(t)
				ours, theirs := net.Pipe()
				defer ours.Close()
				began, ended := time.Now(), make(chan time.Time)
				go func() { s.serve(theirs); ended <- time.Now() }()
				if _, err := io.WriteString(ours, c.question); err != nil {
					t.Error(err)
				}
				if _, err := io.CopyN(io.Discard, ours, int64(c.read)); err != nil {
					t.Error(err)
				}
				if synctest.Wait(); c.end {
					s.end()
				}
				// Silence is answered before the connection ends, which takes a
				// reader; the others do not read by intention.
				if c.question == "" || !strings.HasSuffix(c.question, "\n") {
					go func() { _, _ = io.Copy(io.Discard, ours) }()
				}
				if got := (<-ended).Sub(began); got != c.want {
					t.Errorf("the connection ended after %v, want %v", got, c.want)
				}
			})
		})
	}
}

// Close returns though a peer says nothing and another does not read.
func TestCloseBreaksOff(t *testing.T) {
	socket, err := Listen(filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	s := Start(Config{Socket: socket, Node: endless{}, Logger: slog.New(slog.DiscardHandler)})
	for range maxConnections + 2 {
		c, err := net.Dial("unix", socket.listener.Path())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	s.Close()
	s.Close()
}

// fakeServer answers whatever comes with the same bytes.
func fakeServer(t *testing.T, answer string) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = readLine(bufio.NewReader(c))
		_, _ = io.WriteString(c, answer)
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return NewClient(path)
}

func TestClientDoubtsTheServer(t *testing.T) {
	for _, c := range []struct{ answer, part string }{
		{"", "unexpected EOF"},
		{`{"grant":{"name":"a","key":"k","size":1}}` + "\n", "unexpected EOF"},
		{`{"done":true`, "unexpected EOF"},
		{"{}\n", "a line must be"},
		{`{"done":true,"grant":{"name":"a","key":"k","size":1}}` + "\n", "a line must be"},
		{`{"grant":{"name":"a","key":"k","size":-1}}` + "\n", "not a line of this protocol"},
		{`{"more":true}` + "\n", "more"},
		{"hello\n", "not a line of this protocol"},
		{strings.Repeat("x", maxLineBytes+2), "longer than the limit"},
	} {
		err := fakeServer(t, c.answer).List(t.Context(), func(Grant) error { return nil })
		if err == nil || !strings.Contains(err.Error(), c.part) {
			t.Errorf("%.60q: got error %v, want one that says %s", c.answer, err, c.part)
		}
	}
	err := fakeServer(t, `{"grant":{"name":"a","key":"k","size":1}}`+"\n").Unlock(t.Context(), "a", nil)
	if err == nil || !strings.Contains(err.Error(), "answered with a list") {
		t.Errorf("a list as the answer to unlock: got error %v", err)
	}
}

func TestClientObeysItsContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cause := errors.New("enough")
	ctx, stop := context.WithCancelCause(t.Context())
	go func() {
		c, err := l.Accept() // and say nothing
		if err == nil {
			defer c.Close()
		}
		stop(cause)
		<-ctx.Done()
	}()
	if err := NewClient(path).Unlock(ctx, "a", nil); !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
	long := strings.Repeat("x", maxLineBytes)
	if err := NewClient(path).Unlock(t.Context(), long, nil); err == nil || !strings.Contains(err.Error(), "longer than the limit") {
		t.Errorf("a name that no server reads: got %v", err)
	}
}

func TestKeys(t *testing.T) {
	k := lock.Key{0x01, 0xab, 15: 0xff}
	if got, ok := parseKey(k.String()); !ok || got != k {
		t.Errorf("parseKey(%s) = %v, %v", k, got, ok)
	}
	for _, s := range []string{"", "-", strings.ToUpper(k.String()), k.String()[:35], k.String() + "0", strings.Repeat("-", 36), strings.Repeat("é", 18)} {
		if got, ok := parseKey(s); ok || got != (lock.Key{}) {
			t.Errorf("parseKey(%q) = %v, %v, want no key", s, got, ok)
		}
	}
	short, long := "abc", "0123456789"
	for key, want := range map[*string]string{nil: "", &short: "abc", &long: "01234567"} {
		if got := shortKey(key); got != want {
			t.Errorf("shortKey = %q, want %q", got, want)
		}
	}
}

// checkLine checks that whatever is taken for a T survives being written again.
func checkLine[T any, P interface {
	*T
	check() error
}](t *testing.T, line []byte) {
	var v T
	if err := decodeLine(line, P(&v)); err != nil {
		return
	}
	b, err := appendLine(nil, &v)
	if err != nil {
		if len(line) < maxLineBytes/6 {
			t.Errorf("cannot be written: %v", err)
		}
		return
	}
	again, err := readLine(bufio.NewReader(bytes.NewReader(b)))
	if err != nil {
		t.Fatal(err)
	}
	var w T
	if err := decodeLine(again, P(&w)); err != nil || !reflect.DeepEqual(v, w) {
		t.Errorf("%+v became %+v, error %v", v, w, err)
	}
}

func FuzzRequest(f *testing.F) {
	key := "00000000-0000-0000-0000-000000000001"
	for _, r := range []request{{Op: opList}, {Op: opUnlock, Name: "a"}, {Op: opUnlock, Name: "ü\n\"", Key: &key}, {Op: opLogLevel, Level: "debug"}, {Op: opReload}} {
		addLine(f, &r)
	}
	f.Fuzz(checkLine[request])
}

func FuzzReply(f *testing.F) {
	for _, r := range []reply{
		{Done: true}, {Grant: &Grant{Name: "a\x00", Key: "k", Size: 1 << 31}}, {Error: &RefusedError{Code: NotFound, Message: "m"}},
	} {
		addLine(f, &r)
	}
	f.Fuzz(checkLine[reply])
}

func addLine(f *testing.F, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
}

// FuzzReadLine compares with the plain meaning of lines, whatever the pieces in
// which they come.
func FuzzReadLine(f *testing.F) {
	f.Add([]byte("a\nb\n\nc"))
	f.Add(append(bytes.Repeat([]byte("x"), 5000), '\n'))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(b), 16)
		for rest := b; ; {
			line, err := readLine(r)
			want, after, found := bytes.Cut(rest, []byte{'\n'})
			switch {
			case found && err == nil && bytes.Equal(line, want):
				rest = after
				continue
			case !found && len(rest) == 0 && errors.Is(err, io.EOF):
			case !found && len(rest) > 0 && errors.Is(err, io.ErrUnexpectedEOF):
			case len(want) > maxLineBytes && err != nil:
			default:
				t.Errorf("read %.40q, error %v, of %.40q", line, err, rest)
			}
			return
		}
	})
}
