package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/ldlm-io/ldlm/internal/audit"
	"github.com/ldlm-io/ldlm/internal/probe"
	"github.com/ldlm-io/ldlm/internal/systemd"
)

// lastPatience is how long what is left at the very end may take: the probes,
// and an audit log on a disk that does not answer.
const lastPatience = time.Second

// An ending says how a server ends, and what ends with it. Its zero value ends at
// once.
type ending struct {
	// delay is how long the server still serves while it says that it is not
	// ready, timeout how long calls may hold up the end after that.
	delay, timeout time.Duration
	manager        *systemd.Notifier
	probes         *probe.Server // nil: none
	audit          *audit.Log
}

// waitServer ends a server when a signal says so, or when it cannot go on, and
// calls reload at each hangup until then. A second signal does not wait for
// anybody: the process is to exit at once.
func waitServer(s *Server, log *slog.Logger, signals, hangups <-chan os.Signal, reload func() error, e *ending) error {
	var failed error
	for waiting := true; waiting; {
		select {
		case <-hangups:
			_ = reload() // told in the log
			continue
		case <-signals:
		case <-s.Failed():
			failed = startError(fmt.Errorf("the server cannot go on: %w", s.Err()))
		}
		waiting = false
	}
	return e.end(s, log, signals, failed)
}

// end ends the server in order: nobody new is sent to it, then what waits is
// answered and connections end, at last the probes, which have told of all that.
func (e *ending) end(s *Server, log *slog.Logger, signals <-chan os.Signal, failed error) error {
	s.Unready()
	e.tell(log, systemd.Stopping, systemd.Status("draining"), systemd.ExtendTimeout(e.delay+e.timeout+2*lastPatience))
	if e.delay > 0 && failed == nil {
		log.Warn("Not ready any more; still serving", "shutdown_delay", e.delay.String())
		delay := time.NewTimer(e.delay)
		defer delay.Stop()
		select {
		case <-delay.C:
		case <-s.Failed():
			failed = startError(fmt.Errorf("the server cannot go on: %w", s.Err()))
		case again := <-signals:
			go e.abandon(s)
			return &exitError{code: signalCode(again)}
		}
	}
	log.Warn("Shutting down...")
	ctx, cancel := context.WithTimeout(context.Background(), e.timeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- errors.Join(s.Shutdown(ctx), e.last(ctx)) }()
	select {
	case err := <-done:
		return errors.Join(failed, err)
	case again := <-signals:
		return &exitError{code: signalCode(again)}
	}
}

// abandon ends the server without waiting for its clients, for a process that is
// about to exit and does not wait for this either.
func (e *ending) abandon(s *Server) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = errors.Join(s.Shutdown(ctx), e.last(ctx)) // there is nobody left to tell
}

// last ends what outlives the server.
func (e *ending) last(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastPatience)
	defer cancel()
	if e.probes != nil {
		e.probes.Close(ctx)
	}
	if err := e.audit.Close(ctx); err != nil {
		return fmt.Errorf("the audit log cannot be written to its end: %w", err)
	}
	return nil
}

// tell tells the service manager something, if there is one.
func (e *ending) tell(log *slog.Logger, assignments ...string) {
	if err := e.manager.Notify(assignments...); err != nil {
		log.Warn("The service manager cannot be told", "error", err)
	}
}
