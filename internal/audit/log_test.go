package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/ldlm-io/ldlm/internal/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// entries reads lines.
func entries(t *testing.T, text string) []Entry {
	t.Helper()
	var all []Entry
	for line := range strings.Lines(text) {
		var e Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, e)
	}
	return all
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestNilTakesEverything(t *testing.T) {
	l, err := Open("", nil, discard())
	if l != nil || err != nil {
		t.Fatalf("%v, %v", l, err)
	}
	l.Add(Entry{})
	l.Refuse(Actor{}, "")
	l.Reopen()
	if l.On() || l.Close(t.Context()) != nil {
		t.Error("nil is on, or cannot be closed")
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	for range 2 { // the second one goes on where the first has ended
		l, err := Open(path, nil, discard())
		if err != nil {
			t.Fatal(err)
		}
		l.Add(Entry{Action: ForcedRelease, Actor: Actor{Name: "ops", Via: "grpc", Remote: "10.0.0.1:2"}, Lock: "a\nb",
			Session: 1 << 60, Token: 3, Reason: "stuck", Before: Hold{Token: 3, Host: "web"}})
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	text := readFile(t, path)
	got := entries(t, text)
	if len(got) != 2 || got[0].Lock != "a\nb" || got[0].Session != 1<<60 || got[1].Actor.Name != "ops" || got[0].Time.IsZero() {
		t.Errorf("%+v", got)
	}
	if !strings.Contains(text, `"session":"1152921504606846976"`) || !strings.Contains(text, `"before":{"token":"3","host":"web","held_ms":0}`) {
		t.Error(text)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("others may read it: %v, %v", info.Mode(), err)
	}
}

func TestCannotBeOpened(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none", "audit"), nil, discard()); err == nil || !strings.Contains(err.Error(), "audit_log") {
		t.Error(err)
	}
}

// TestRotation: logrotate renames the file and asks for a new one; what was added
// before is in the old one.
func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	l, err := Open(path, nil, discard())
	if err != nil {
		t.Fatal(err)
	}
	l.Add(Entry{Lock: "before"})
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.Reopen()
	// Its goroutine opens the file when it gets there; nothing says so but the file.
	for {
		if _, err := os.Stat(path); err == nil {
			break
		}
		<-time.After(time.Millisecond)
	}
	l.Add(Entry{Lock: "after"})
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	old, fresh := entries(t, readFile(t, path+".1")), entries(t, readFile(t, path))
	if len(old) != 1 || len(fresh) != 1 || old[0].Lock != "before" || fresh[0].Lock != "after" {
		t.Errorf("%+v, %+v", old, fresh)
	}
}

// fullDisk is a sink that takes a part of a line, and then nothing, until there is
// room again.
type fullDisk struct {
	mu   sync.Mutex
	full bool
	text bytes.Buffer
}

func (d *fullDisk) write(line []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full {
		return syscall.ENOSPC
	}
	d.text.Write(line)
	return nil
}
func (*fullDisk) reopen() error { return errors.New("no room for a file") }
func (*fullDisk) Close() error  { return nil }

func TestFullDiskIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logtest.Log{}
		d := &fullDisk{full: true}
		l := start(d, slog.New(slog.NewTextHandler(log, nil)))
		for range 10 {
			l.Add(Entry{Lock: "lost"})
		}
		l.Reopen()
		synctest.Wait()
		d.mu.Lock()
		d.full = false
		d.mu.Unlock()
		<-time.After(complainEvery)
		l.Add(Entry{Lock: "kept"})
		if err := l.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got := entries(t, d.text.String()); len(got) != 1 || got[0].Lock != "kept" {
			t.Errorf("%+v", got)
		}
		text := log.String()
		if n := strings.Count(text, "are lost"); n != 2 || !strings.Contains(text, "entries=1 ") || !strings.Contains(text, "entries=9 ") {
			t.Errorf("told %d times:\n%s", n, text)
		}
		if !strings.Contains(text, "cannot be opened again") {
			t.Error(text)
		}
	})
}

// stuck is a disk that does not answer.
type stuck struct{ free chan struct{} }

func (s stuck) write([]byte) error { <-s.free; return nil }
func (stuck) reopen() error        { return nil }
func (stuck) Close() error         { return nil }

// TestStuckDisk: nobody waits, what finds no room is counted, the end is bounded.
func TestStuckDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stuck{make(chan struct{})}
		l := start(s, discard())
		for range maxQueued + 100 {
			l.Add(Entry{})
		}
		if got := l.lost.Load(); got < 99 {
			t.Errorf("%d lost", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		close(s.free)
		if err := l.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestRefusalsAreBounded: a flood is counted, and the count is told even if
// nothing follows.
func TestRefusalsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &logtest.Log{}
		l, err := Open(ToStderr, out, discard())
		if err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			l.Refuse(Actor{Via: "grpc"}, "wrong password")
		}
		<-time.After(2 * lineWindow)
		got := entries(t, out.String())
		if len(got) != maxLines+1 || got[maxLines].Suppressed != 1000-maxLines {
			t.Errorf("%d entries, the last %+v", len(got), got[len(got)-1])
		}
		for range maxLines + 5 {
			l.Refuse(Actor{Via: "grpc"}, "wrong password")
		}
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		got = entries(t, out.String())
		if last := got[len(got)-1]; last.Suppressed != 5 {
			t.Errorf("at the end: %+v", last)
		}
	})
}

// TestTornLine: after a part of a line the next one is whole.
func TestTornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	f, err := openFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.open.WriteString(`{"half`); err != nil {
		t.Fatal(err)
	}
	f.torn = true
	for range 2 {
		if err := f.write([]byte("{}\n")); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got := readFile(t, path); got != "{\"half\n{}\n{}\n" {
		t.Errorf("%q", got)
	}
}

// A file that is opened again without having been renamed still ends with a part of a line.
func TestTornLineIsNotForgotten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(path, []byte("a part"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := openFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // what is read is all that matters
	f.torn = true
	again := func(line string) {
		t.Helper()
		if err := errors.Join(f.reopen(), f.write([]byte(line))); err != nil {
			t.Fatal(err)
		}
	}
	again("first\n")
	f.torn = true // as if the disk was full in between
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	again("second\n")
	for at, want := range map[string]string{path + ".1": "a part\nfirst\n", path: "second\n"} {
		if got, err := os.ReadFile(at); string(got) != want || err != nil {
			t.Errorf("%s: got %q, want %q, %v", at, got, want, err)
		}
	}
}
