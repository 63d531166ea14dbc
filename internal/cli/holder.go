package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/supervise"
)

// A holder holds locks for as long as something runs: what lock and elect are.
type holder struct {
	p *Process
	*clientFlags
	holdingOptions

	client  *ldlm.Client
	path    string // of the command
	signals <-chan os.Signal
	remarks *remarks
	// place is how many are ahead in the queue: what the server said last.
	place chan int
}

// addHolding makes a command one that holds.
func addHolding(p *Process, c *cobra.Command) *holder {
	h := &holder{p: p, clientFlags: addClientFlags(p, c)}
	h.name = "ldlm " + c.Name()
	h.add(c)
	completeLocks(h.clientFlags, c)
	c.RunE = func(c *cobra.Command, args []string) error {
		h.split(c, args)
		if err := h.check(c.ArgsLenAtDash() >= 0); err != nil {
			return misused(c, err)
		}
		if h.observe {
			return h.connected(c.Context(), h.observeLeaders)
		}
		return h.run(c.Context())
	}
	return h
}

// run takes what was asked for, holds it, and gives it back.
func (h *holder) run(ctx context.Context) (err error) {
	if err := h.find(); err != nil {
		return err
	}
	watched, stopWatching, err := h.watchPID()
	if err != nil {
		return err
	}
	defer stopWatching()
	signals, stop := h.p.signals()
	defer stop()
	h.signals = signals
	h.place = make(chan int, 1)
	hooks := ldlm.WithHooks(ldlm.Hooks{OnWait: h.noteWait})
	if h.client, err = h.dial(append(h.dialOptions(), hooks)...); err != nil {
		return err
	}
	h.remarks = newRemarks(h.p.Stderr, h.quiet)
	defer h.remarks.close()
	defer h.leave()
	for {
		again, err := h.once(ctx, watched)
		if !again {
			return err
		}
	}
}

// once takes the lock once. It reports whether to do so again.
func (h *holder) once(ctx context.Context, watched <-chan struct{}) (again bool, err error) {
	lock, err := h.acquirePatiently(ctx)
	if err != nil {
		return false, err
	}
	k := newKeeper(h, lock)
	if h.runs() {
		if k.child, err = h.start(lock); err != nil {
			h.release(ctx, lock)
			return false, err
		}
		defer k.child.Close()
	} else {
		k.until = watched
		k.show()
	}
	k.run()
	if k.isHeld() && h.release(ctx, lock) {
		k.asked = true
	}
	return h.again && k.isLost() && !k.asked, k.result()
}

// find looks for the command before anything is locked for it.
func (h *holder) find() error {
	if !h.runs() {
		return nil
	}
	path, err := lookUp(h.argv(h.p)[0])
	if err != nil {
		return cannotRun(err)
	}
	h.path = path
	return nil
}

// start starts the command.
func (h *holder) start(lock *ldlm.Lock) (*supervise.Process, error) {
	key := "LDLM_LOCK_KEY=" + lock.Key()
	environment := append(withoutVariables(h.p.Environ(), h.dropped()...),
		"LDLM_LOCK_NAME="+strings.Join(lock.Names(), "\n"), key,
		"LDLM_FENCING_TOKEN="+strconv.FormatUint(lock.Token(), 10),
		"LDLM_ADDRESS="+h.connection.Address)
	config := childConfig(h.p, h.path, h.argv(h.p), environment, key)
	config.Terminate, config.Kill = h.permit(lock)
	config.Ready = h.endsBeforeStart
	c, err := supervise.Start(config)
	if errors.As(err, new(*exitError)) {
		return nil, err
	}
	if err != nil {
		return nil, cannotRun(err)
	}
	if c.Unguarded != nil {
		h.remarks.warn("no guardian: if ldlm is killed, what the command has started may go on (%v)", c.Unguarded)
	}
	return c, nil
}

// endsBeforeStart is the end by a signal that came after the grant: nothing is
// started for somebody who does not want it any more.
func (h *holder) endsBeforeStart() error {
	for {
		select {
		case s := <-h.signals:
			if !supervise.IsStop(s) {
				return &exitError{code: signalCode(s)}
			}
			_ = supervise.Suspend()
		default:
			return nil
		}
	}
}

// permit is for how long a command may run that was not started yet, if this
// process is stopped as soon as it has started it. 0 is for ever.
func (h *holder) permit(lock *ldlm.Lock) (terminate, kill time.Duration) {
	at, left := h.bounds(), max(0, time.Until(lock.Deadline()))
	terminate, kill = max(1, left-at.term+at.kill/2), max(1, left-at.kill/2)
	switch h.onLost {
	case onLostWarn:
		return 0, 0
	case onLostTerm:
		return terminate, 0
	default:
		return terminate, kill
	}
}

// dropped are the variables that the command does not get.
func (h *holder) dropped() []string {
	if h.passCredentials {
		return nil
	}
	return []string{"LDLM_PASSWORD", "LDLM_TOKEN"}
}

// hurry bounds how long a release is waited for once somebody wants the end.
const hurry = time.Second

// release gives the lock back. That it cannot is no failure: the ttl does it then. A
// signal makes the wait for it short; interrupted says that it was the end of it.
func (h *holder) release(ctx context.Context, lock *ldlm.Lock) (interrupted bool) {
	released := make(chan error, 1)
	go func() { released <- lock.Release(ctx) }() // it ends with the client at the latest
	var late <-chan time.Time
	for {
		select {
		case err := <-released:
			if err != nil && !errors.Is(err, ldlm.ErrLost) {
				h.tellUnreleased(releaseText(err))
			}
			return false
		case <-late:
			h.tellUnreleased("interrupted")
			return true
		case s := <-h.signals:
			switch {
			case supervise.IsStop(s):
				_ = supervise.Suspend()
			case late == nil: // it may be the one that has ended the command
				late = time.After(hurry)
			default:
				h.tellUnreleased("interrupted")
				return true
			}
		}
	}
}

// tellUnreleased says what becomes of a lock that was not given back.
func (h *holder) tellUnreleased(why string) {
	h.remarks.warn("%s is not released in order (%s); it is free after its ttl of %s at the latest", h.quoted(), why, shortDuration(h.ttl))
}

// releaseText says why a lock was not given back.
func releaseText(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer"
	}
	return plainError(err)
}

// leave ends the session; a signal does not wait for that.
func (h *holder) leave() {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = h.client.Close() // the lock was released before, or is lost
	}()
	for {
		select {
		case <-closed:
			return
		case s := <-h.signals:
			if !supervise.IsStop(s) {
				return
			}
		}
	}
}

// quoted is the lock in messages.
func (h *holder) quoted() string {
	var all []string
	for _, name := range h.names {
		all = append(all, strconv.Quote(name))
	}
	return strings.Join(all, ", ")
}

// plainError words an error of the client for people.
func plainError(err error) string {
	text := strings.TrimPrefix(err.Error(), "ldlm: ")
	return strings.TrimSuffix(text, " (nothing happened)")
}

// watchPID watches what ends a hold without a command: the process of --while-pid,
// or whoever has the other end of standard input.
func (h *holder) watchPID() (<-chan struct{}, func(), error) {
	switch {
	case h.runs():
		return nil, func() {}, nil // standard input is the command's
	case h.whilePID == 0:
		return h.p.stdinEnd(), func() {}, nil
	}
	w, err := supervise.Watch(h.whilePID)
	if errors.Is(err, os.ErrProcessDone) {
		return nil, nil, fmt.Errorf("--while-pid: there is no process %d", h.whilePID)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("--while-pid: %w", err)
	}
	return w.Ended(), w.Close, nil
}
