package accept

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// fake is a listener that answers as it is told, and then as if it were closed.
type fake struct {
	answers []error // nil: a connection
	calls   int
	closed  int
}

func (f *fake) Accept() (net.Conn, error) {
	f.calls++
	if len(f.answers) == 0 {
		return nil, net.ErrClosed
	}
	err := f.answers[0]
	f.answers = f.answers[1:]
	if err != nil {
		return nil, err
	}
	c, _ := net.Pipe()
	return c, nil
}

func (f *fake) Close() error { f.closed++; return nil }
func (*fake) Addr() net.Addr { return &net.UnixAddr{Name: "a"} }

func logged() (*bytes.Buffer, *slog.Logger) {
	var b bytes.Buffer
	return &b, slog.New(slog.NewTextHandler(&b, nil))
}

// What goes wrong is said once, and once that it is over, however often it is tried,
// and though some connections come through.
func TestTroubleIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		for range 20 {
			f.answers = append(f.answers, syscall.EMFILE)
		}
		f.answers = append(f.answers, nil, syscall.ENFILE, nil)
		b, log := logged()
		l := Patient(f, log)
		accept := func() {
			t.Helper()
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
		began := time.Now()
		accept()
		accept()
		// 5 + 10 + ... + 640 ms, then seconds; and 5 ms.
		if got, want := time.Since(began), (1275+12*1000+5)*time.Millisecond; got != want {
			t.Errorf("it paused for %s, want %s", got, want)
		}
		wantLog(t, b, 1, 0)
		<-time.After(calm - shortestPause - 1) // it has paused since
		f.answers = []error{nil, syscall.EMFILE, nil}
		accept()
		accept()
		wantLog(t, b, 1, 0)
		<-time.After(calm)
		f.answers = []error{nil, nil, syscall.EMFILE, nil}
		accept()
		wantLog(t, b, 1, 1)
		accept()
		accept()
		wantLog(t, b, 2, 1)
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("at the end: %v", err)
		}
	})
}

func wantLog(t *testing.T, b *bytes.Buffer, began, over int) {
	t.Helper()
	text := b.String()
	if strings.Count(text, "cannot accept") != began || strings.Count(text, "accepted again") != over {
		t.Errorf("want %d begins and %d ends in\n%s", began, over, text)
	}
}

func TestCloseEndsAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answers: []error{syscall.EMFILE, syscall.EMFILE, syscall.EMFILE, syscall.EMFILE}}
		_, log := logged()
		l := Patient(f, log)
		got := make(chan error, 1)
		go func() {
			_, err := l.Accept()
			got <- err
		}()
		synctest.Wait()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := <-got; !errors.Is(err, net.ErrClosed) || f.calls != 1 {
			t.Errorf("got %v after %d attempts", err, f.calls)
		}
		if err := l.Close(); err != nil || f.closed != 2 {
			t.Errorf("closing again: %v, %d", err, f.closed)
		}
	})
}
