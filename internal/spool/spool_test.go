package spool

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func missing(n int) []byte { return fmt.Appendf(nil, "%d missing\n", n) }

// What is written comes out whole and in order, and all of it before Close returns.
func TestWrites(t *testing.T) {
	var out, want bytes.Buffer
	w := New(&out, 1<<20, missing)
	for i := range 1000 {
		line := fmt.Appendf(nil, "line %d\n", i)
		want.Write(line)
		if n, err := w.Write(line); n != len(line) || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
	for range 2 {
		if err := w.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if out.String() != want.String() {
		t.Errorf("got %d bytes, want %d", out.Len(), want.Len())
	}
	if n, err := w.Write([]byte("late\n")); n != 5 || err != nil {
		t.Errorf("after the end: %d, %v", n, err)
	}
}

// While nobody reads nobody waits, and no more is kept than allowed. Every line is
// written or counted, and the count stands where lines are missing.
func TestStuck(t *testing.T) {
	const lines, most = 10_000, 1000
	in, out := io.Pipe()
	w := New(out, most, missing)
	var writing sync.WaitGroup
	for i := range 4 {
		writing.Go(func() {
			for range lines / 4 {
				_, _ = fmt.Fprintf(w, "line of %d\n", i)
			}
		})
	}
	writing.Wait()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	closed := make(chan error, 1)
	go func() {
		closed <- w.Close(t.Context())
		_ = out.Close()
	}()
	got, lost := 0, 0
	for s := bufio.NewScanner(in); s.Scan(); {
		var n int
		switch {
		case strings.HasPrefix(s.Text(), "line of "):
			got++
		default:
			if _, err := fmt.Sscanf(s.Text(), "%d missing", &n); err != nil {
				t.Errorf("%q: %v", s.Text(), err)
			}
			lost += n
		}
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if got+lost != lines || lost == 0 || got > 2*most/len("line of 0\n") {
		t.Errorf("%d lines came and %d are missing, want %d together and few of them", got, lost, lines)
	}
	if err := w.Close(gone); err != nil {
		t.Errorf("closed again: %v", err)
	}
}

// That lines are missing is said where they are, also if there was room for one behind them.
func TestMissingIsSaidInItsPlace(t *testing.T) {
	var out bytes.Buffer
	w := &Writer{out: &out, most: 10, missing: missing, more: make(chan struct{}, 1)}
	for _, line := range []string{"first\n", "too long\n", "3rd\n"} {
		_, _ = w.Write([]byte(line)) // it never fails
	}
	w.write(nil)
	_, _ = w.Write([]byte("4th\n")) // it never fails
	w.write(nil)
	if want := "first\n2 missing\n4th\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

// Close gives up in time on who takes nothing.
func TestCloseStuck(t *testing.T) {
	in, out := io.Pipe()
	w := New(out, 1000, missing)
	_, _ = w.Write([]byte("line\n"))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Close(gone); err == nil {
		t.Error("it is said that all was written")
	}
	_ = in.Close() // the write fails
	if err := w.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
