//go:build unix

package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"syscall"

	"github.com/ldlm-io/ldlm/examples/internal/stage"
)

// run is the proof or, with arguments, one of its processes.
func run(ctx context.Context, args []string) error {
	if len(args) > 1 {
		return writer(ctx, args[0], args[1:]...)
	}
	comparing, trusting := &store{compares: true}, &store{}
	urls := []string{serve(ctx, comparing), serve(ctx, trusting)}
	if err := prove(ctx, urls); err != nil {
		return err
	}
	if got := comparing.read(); got != "second" {
		return fmt.Errorf("the store that compares tokens has the value of %q", got)
	}
	if got := trusting.read(); got != "first" {
		return fmt.Errorf("the store that does not has the value of %q: nothing is shown", got)
	}
	fmt.Println("the store that compares tokens kept the second's value; the other one has lost it")
	return nil
}

// serve starts a store that ends with ctx, and returns where it is.
func serve(ctx context.Context, s *store) string {
	server := httptest.NewServer(s)
	context.AfterFunc(ctx, server.Close)
	return server.URL
}

// prove stops the first writer at the worst moment, lets the second write, and
// wakes the first.
func prove(ctx context.Context, urls []string) error {
	first, err := stage.Start(ctx, "first", append([]string{"first"}, urls...)...)
	if err != nil {
		return err
	}
	defer first.Kill()
	older, err := token(first)
	if err != nil {
		return err
	}
	if err := first.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	fmt.Printf("first holds the lock, token %d, and is stopped before it writes\n", older)

	second, err := stage.Start(ctx, "second", append([]string{"second"}, urls...)...)
	if err != nil {
		return err
	}
	defer second.Kill()
	newer, err := token(second)
	if err != nil {
		return err
	}
	if newer <= older {
		return fmt.Errorf("the token %d was followed by %d", older, newer)
	}
	fmt.Printf("the lock passes on to second, token %d, which writes\n", newer)
	if err := finish(second, "answer 200", "answer 200", "released"); err != nil {
		return err
	}
	if err := first.Signal(syscall.SIGCONT); err != nil {
		return err
	}
	fmt.Println("first goes on where it was, and writes")
	return finish(first, "answer 412", "answer 200", "lost")
}

// token waits until a writer holds the lock, and returns its token.
func token(p *stage.Process) (uint64, error) {
	line, err := p.Read()
	if err != nil {
		return 0, err
	}
	var n uint64
	_, err = fmt.Sscanf(line, "holds %d", &n)
	return n, err
}

// finish lets a writer write, and reads what it must say then: the answer of
// the store that compares, that of the other, and how its hold ended.
func finish(p *stage.Process, lines ...string) error {
	if err := p.Tell("write"); err != nil {
		return err
	}
	for _, want := range lines {
		if err := p.Says(want); err != nil {
			return err
		}
	}
	return p.Wait()
}
