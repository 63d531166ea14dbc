package cli

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/supervise"
)

// A keeper keeps a hold for as long as a command, a process or a person wants
// it, and ends the command in time if the hold is about to be lost.
//
// The hold is good until its deadline, which moves on whenever a server confirms
// it. What happens as that comes nearer is in bounds. Once the command has been
// asked to end there is no way back, also if a server answers then: it is on its
// way out, and who started it learns that from the exit code.
//
// run and what it calls are one goroutine.
type keeper struct {
	*holder
	lock  *ldlm.Lock
	child *supervise.Process // nil: without a command
	until <-chan struct{}    // without a command: what else ends the hold
	at    bounds

	lost   <-chan struct{} // nil once it was heard
	done   <-chan struct{} // of the child; nil once it was heard
	shown  chan error      // that key and token were printed
	tooOld <-chan time.Time

	cause  error // why the hold ends against the holder's will; nil: it does not
	gone   bool  // somebody else may have the lock already
	warned time.Duration
	ended  error // what ended a hold without a command; nil is success

	stopping  bool // the command was asked to end
	killAt    time.Time
	killed    bool
	childOver bool // the command itself has ended
	told      bool // that others of its group live
	asked     bool // somebody wants it all to end
	over      bool
}

func newKeeper(h *holder, lock *ldlm.Lock) *keeper {
	k := &keeper{holder: h, lock: lock, at: h.bounds(), lost: lock.Done()}
	if h.maxHold > 0 {
		k.tooOld = time.After(h.maxHold)
	}
	return k
}

// run keeps the hold until it is over.
func (k *keeper) run() {
	if k.child != nil {
		k.done = k.child.Done()
	}
	t := time.NewTimer(0)
	defer t.Stop()
	for !k.over {
		k.hearEnd() // first: a command that has ended needs no signals
		select {
		case <-k.done:
			k.done, k.childOver = nil, true
		case s := <-k.signals:
			k.signal(s)
		case <-k.lost:
			k.lost = nil
			k.loseTo(k.lock.Err())
		case <-k.tooOld:
			k.tooOld = nil
			k.stopFor(errMaxHold, fmt.Sprintf("%s was held for %s, as long as --max-hold allows", k.quoted(), shortDuration(k.maxHold)))
		case err := <-k.shown:
			k.shown = nil
			if err != nil {
				k.finish(fmt.Errorf("key and token could not be written: %w", err))
			}
		case <-k.until:
			k.finish(nil)
		case <-t.C:
		}
		k.look()
		t.Reset(k.pause())
	}
}

// hearEnd notes whether the command itself has ended.
func (k *keeper) hearEnd() {
	select {
	case <-k.done:
		k.done, k.childOver = nil, true
	default:
	}
}

// finish ends a hold without a command.
func (k *keeper) finish(err error) { k.ended, k.over = err, true }

// signal does what a signal asks for.
func (k *keeper) signal(s os.Signal) {
	k.asked = k.asked || supervise.Ends(s)
	switch {
	case supervise.IsStop(s):
		k.remarks.note("stopped; %s is lost in %s unless it goes on", k.quoted(), seconds(k.left()))
		k.remarks.flush()
		if err := supervise.Suspend(); err != nil {
			k.remarks.warn("cannot stop: %v", err)
		}
	case k.child == nil:
		if supervise.Ends(s) {
			k.finish(nil)
		}
	default:
		passOn(k.child, s, k.p.Foreground, k.remarks)
	}
}

// left is for how long the hold is good, as far as that depends on the client.
func (k *keeper) left() time.Duration {
	deadline := k.lock.Deadline()
	if deadline.IsZero() {
		return 0
	}
	return time.Until(deadline)
}

// look does what is due.
func (k *keeper) look() {
	left := k.left()
	if left <= 0 && k.lost != nil {
		k.lost = nil
		k.loseTo(k.lock.Err())
	}
	if k.child == nil || k.over {
		return
	}
	k.permit(left)
	if k.cause == nil {
		k.lookAtDeadline(left)
	}
	if k.childOver {
		k.lookAtRest()
	}
	if k.stopping && !k.killed && k.kills() && (!time.Now().Before(k.killAt) || left <= k.at.kill && !k.gone) {
		k.killed = true
		k.remarks.warn("SIGKILL to %s", k.child)
		if err := k.child.Kill(); err != nil {
			k.remarks.warn("cannot kill %s: %v", k.child, err)
		}
	}
}

// kills reports whether the command is killed if it does not end by itself. What
// --on-lost says is for losses alone.
func (k *keeper) kills() bool {
	return k.onLost == onLostKill || k.cause == nil || errors.Is(k.cause, errMaxHold)
}

// permit tells the guardian until when the command may run. It acts a little
// after this process would, and so only if that cannot.
func (k *keeper) permit(left time.Duration) {
	const never = -1
	switch {
	case k.onLost == onLostWarn || k.killed:
		k.child.Permit(never, never)
	case k.onLost == onLostTerm:
		k.child.Permit(k.unlessStopping(left-k.at.term+k.at.kill/2), never)
	case k.stopping:
		k.child.Permit(never, max(0, time.Until(k.killAt)+k.at.kill/2))
	default:
		k.child.Permit(max(0, left-k.at.term+k.at.kill/2), max(0, left-k.at.kill/2))
	}
}

func (k *keeper) unlessStopping(d time.Duration) time.Duration {
	if k.stopping {
		return -1
	}
	return max(0, d)
}

// lookAtDeadline warns when nobody confirms the hold, and stops the command while
// there is time to do so.
func (k *keeper) lookAtDeadline(left time.Duration) {
	ago, trouble := k.lock.Confirmed()
	silence := fmt.Sprintf("%s: no answer for %s%s; session ends in %s", k.quoted(), seconds(ago), inBrackets(trouble), seconds(left))
	switch {
	case left <= k.at.term:
		k.stopFor(errUnconfirmed, silence)
	case left <= k.at.warn && k.warned == 0:
		k.warned = ago
		k.remarks.note("%s, SIGTERM in %s", silence, seconds(left-k.at.term))
	case left > k.at.warn && k.warned != 0:
		k.warned = 0
		k.remarks.note("%s: answered again", k.quoted())
	}
}

// Why holds end against their holder's will, where the client does not say.
var (
	errUnconfirmed = errors.New("no server confirmed it")
	errMaxHold     = errors.New("held for as long as it may be")
)

// loseTo is called when the hold has ended, or is wanted back.
func (k *keeper) loseTo(err error) {
	lost := (*ldlm.LostError)(nil)
	if !errors.As(err, &lost) {
		return // released by this process itself
	}
	k.gone = lost.Reason != ldlm.ReasonRevoked && lost.Reason != ldlm.ReasonUnconfirmed
	if k.cause != nil {
		return
	}
	k.stopFor(err, k.quoted()+": "+lost.Reason.String())
}

// stopFor has the command end because the hold does.
func (k *keeper) stopFor(cause error, why string) {
	k.cause = cause
	k.remarks.warn("%s", why)
	switch {
	case k.child == nil:
		k.over = true
	case k.onLost == onLostWarn && !k.kills():
		k.remarks.warn("the command goes on (--on-lost=warn)")
	case !k.childOver:
		k.stop()
	}
}

// stop asks all of the command to end.
func (k *keeper) stop() {
	k.stopping, k.killed = true, false
	budget := k.at.killAfter()
	if left := k.left(); !k.gone {
		budget = max(0, min(budget, left-k.at.kill))
	}
	k.killAt = time.Now().Add(budget)
	err := k.child.Terminate()
	switch {
	case errors.Is(err, errors.ErrUnsupported):
	case err != nil:
		k.remarks.warn("cannot end %s: %v", k.child, err)
	case k.kills():
		k.remarks.warn("SIGTERM to %s, SIGKILL in %s", k.child, seconds(budget))
	default:
		k.remarks.warn("SIGTERM to %s", k.child)
	}
}

// lookAtRest ends what the command has left behind: the lock is for all of it.
func (k *keeper) lookAtRest() {
	rest, err := k.child.Rest()
	if err != nil {
		k.remarks.warn("cannot tell whether anything of %s lives: %v", k.child, err)
	}
	if len(rest) == 0 {
		k.over = true
		return
	}
	if k.told {
		return
	}
	k.told = true
	if !k.stopping {
		k.remarks.warn("the command has ended, but %d of its processes live (%s): %s is held until they have ended too", len(rest), some(rest), k.quoted())
		k.stop()
	}
}

// some names a few of many.
func some(pids []int) string {
	const few = 5
	text := strings.Trim(fmt.Sprint(pids[:min(len(pids), few)]), "[]")
	if len(pids) > few {
		text += " …"
	}
	return text
}

// restEvery is how often what is left of a command is looked for.
const restEvery = 20 * time.Millisecond

// pause is how long until something may be due.
func (k *keeper) pause() time.Duration {
	next := k.at.look
	if k.childOver {
		next = restEvery
	}
	left := k.left()
	for _, due := range []time.Duration{left - k.at.term, left - k.at.kill, time.Until(k.killAt)} {
		if due > 0 {
			next = min(next, due)
		}
	}
	return next
}

// isHeld reports whether the hold is to be given back: not if it has ended, nor if
// there is nobody to give it back to and the end of the session does it.
func (k *keeper) isHeld() bool {
	if _, trouble := k.lock.Confirmed(); trouble != nil && k.cause != nil && !k.again {
		return false
	}
	return !k.gone
}

// isLost reports whether the hold ended against its holder's will.
func (k *keeper) isLost() bool { return k.cause != nil }

// result is how the command ends.
func (k *keeper) result() error {
	code := 0
	if k.child != nil {
		code = k.child.Code()
	}
	switch {
	case !k.isLost() && k.ended != nil:
		return fmt.Errorf("lock: %w", k.ended)
	case !k.isLost() && code == 0:
		return nil
	case !k.isLost():
		return &exitError{code: code}
	case k.child == nil:
		return &exitError{code: exitLost}
	}
	what := "lost"
	if errors.Is(k.cause, errMaxHold) {
		what = "given back"
	}
	k.remarks.warn("%s %s; child ended (%d)", k.quoted(), what, code)
	if k.onLost == onLostWarn && !k.kills() {
		return &exitError{code: code}
	}
	return &exitError{code: exitLost}
}

// inBrackets is a reason in brackets, if there is one, in few words: the address,
// and what is wrong there.
func inBrackets(err error) string {
	if err == nil {
		return ""
	}
	op, number := (*net.OpError)(nil), syscall.Errno(0)
	text := err.Error()
	if errors.As(err, &op) && errors.As(err, &number) {
		address, _, _ := strings.Cut(text, ": ")
		text = address + ": " + number.Error()
	}
	text, _, _ = strings.Cut(text, "\n")
	return " (" + visible(text) + ")"
}

// seconds is a short time for people who watch it pass: whole seconds, if there
// are any.
func seconds(d time.Duration) string {
	d = max(d, 0)
	if d >= time.Second {
		d = d.Truncate(time.Second)
	}
	return shortDuration(d)
}
