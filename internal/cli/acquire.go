package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/supervise"
)

const (
	// impatience is how long somebody waits before they want to know for whom.
	impatience = time.Second
	// lookPatience bounds how long that may take to find out.
	lookPatience = 2 * time.Second
)

// acquirePatiently is acquire; who leads again and again waits for servers too.
func (h *holder) acquirePatiently(ctx context.Context) (*ldlm.Lock, error) {
	for first := true; ; first = false {
		lock, err := h.acquire(ctx)
		e := (*exitError)(nil)
		if err == nil || !h.again || !errors.As(err, &e) || e.code != exitUnavailable {
			return lock, err
		}
		if first {
			h.remarks.warn("no server can be reached; trying again")
		}
		if err := h.pause(retryEvery); err != nil {
			return nil, err
		}
	}
}

// retryEvery is how often a server is looked for that cannot be reached.
const retryEvery = time.Second

// pause waits, unless a signal ends it.
func (h *holder) pause(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			return nil
		case s := <-h.signals:
			if !supervise.IsStop(s) {
				return &exitError{code: signalCode(s)}
			}
			_ = supervise.Suspend()
		}
	}
}

// acquire takes the locks. A signal ends the wait, and --timeout bounds a try: a grant
// that comes in the same moment is given back.
func (h *holder) acquire(ctx context.Context) (*ldlm.Lock, error) {
	type result struct {
		lock *ldlm.Lock
		err  error
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if h.try || h.waits && h.wait == 0 {
		var late context.CancelFunc
		ctx, late = context.WithTimeoutCause(ctx, h.timeout, &noAnswerError{h.timeout})
		defer late()
	}
	done := make(chan result, 1)
	go func() {
		var r result
		if h.all {
			r.lock, r.err = h.client.LockAll(ctx, h.names, h.lockOptions()...)
		} else {
			r.lock, r.err = h.client.Lock(ctx, h.names[0], h.lockOptions()...)
		}
		done <- r
	}()
	curious := time.NewTimer(impatience)
	defer curious.Stop()
	for {
		select {
		case r := <-done:
			if r.err == nil && ctx.Err() != nil {
				h.release(ctx, r.lock)
				r.err = context.Cause(ctx)
			}
			return r.lock, h.explain(ctx, r.err)
		case <-curious.C:
			if h.p.StderrIsTerminal && !h.quiet {
				go h.tellWait(ctx) // it ends with ctx, and the client waits for its questions
			}
		case s := <-h.signals:
			switch {
			case supervise.IsStop(s):
				_ = supervise.Suspend()
			case ctx.Err() != nil:
				return nil, &exitError{code: signalCode(s)}
			default:
				cancel(&signalError{s})
			}
		}
	}
}

// explain says why the lock was not acquired, and what to do next.
func (h *holder) explain(ctx context.Context, err error) error {
	held, failed := (*ldlm.HeldError)(nil), (*ldlm.Error)(nil)
	switch {
	case err == nil || ctx.Err() != nil:
		return h.advise(ctx, err)
	case errors.As(err, &held):
		return &exitError{code: h.conflictCode, err: errors.New(h.contention(ctx, held))}
	case errors.As(err, &failed) && failed.Field == "ttl_us" && failed.Limit > 0:
		return &exitError{code: exitUsage, err: errors.New("ldlm: " + ttlText(h.ttl, time.Duration(failed.Limit)*time.Microsecond))}
	default:
		return h.advise(ctx, err)
	}
}

// ttlText says what is wrong with a ttl, of which a limit is all that a server tells.
func ttlText(ttl, limit time.Duration) string {
	most := "at least"
	if ttl > limit {
		most = "at most"
	}
	return fmt.Sprintf("--ttl %s: the server takes %s %s", shortDuration(ttl), shortDuration(limit), most)
}

// noteWait remembers the place in the queue.
func (h *holder) noteWait(w ldlm.Wait) {
	select {
	case h.place <- w.Ahead:
	default: // of an earlier wait
	}
}

// tellWait says for whom somebody waits.
func (h *holder) tellWait(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	var ahead int
	select {
	case ahead = <-h.place:
	case <-ctx.Done():
		return
	}
	text := "waiting for " + h.quoted()
	if info, err := h.client.Admin().Get(ctx, h.names[0]); err == nil && len(h.names) == 1 && len(info.Holders) > 0 {
		first := info.Holders[0]
		text += fmt.Sprintf(", held by %s for %s", clientName(first.Client), shortDuration(first.Age))
		if first.Reason != "" {
			text += " (" + visible(first.Reason) + ")"
		}
	}
	if ctx.Err() == nil {
		h.remarks.note("%s; %s", text, placeText(ahead))
	}
}

// placeText is a place in a queue.
func placeText(ahead int) string {
	if ahead == 0 {
		return "next in the queue"
	}
	return number(ahead) + " ahead in the queue"
}

// contention says who is in the way, in the lines that a person needs to decide
// what to do.
func (h *holder) contention(ctx context.Context, e *ldlm.HeldError) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "\n  %-8s %s", name, fmt.Sprintf(format, args...))
	}
	if errors.Is(e, ldlm.ErrWaitTimeout) && e.Waiting > 0 {
		e.Waiting-- // this one itself
	}
	fmt.Fprintf(&b, "ldlm: %s %s", quoteName(e.Name), obstacle(e))
	if quiet := h.quietLeft(ctx, e); quiet > 0 {
		line("quiet", "nothing is granted for another %s: holders of before may still believe in their locks", shortDuration(quiet))
	}
	if e.Holder.Token != 0 && !e.Holder.Delay {
		line("holder", "%s", clientName(e.Holder.Client))
		if e.Holders > 1 {
			line("", "and %d more", e.Holders-1)
		}
		if e.Holder.Reason != "" {
			line("reason", "%s", visible(e.Holder.Reason))
		}
		line("held", "%s%s", shortDuration(e.Age), h.pulse(ctx, e.Holder))
	}
	if e.DelayLeft > 0 {
		line("shut", "for another %s: its last holder was lost", shortDuration(e.DelayLeft))
	}
	if e.Waiting > 0 {
		line("queue", "%d waiting (longest %s)", e.Waiting, shortDuration(e.LongestWait))
	}
	if e.Holder.Token != 0 && !e.Holder.Delay {
		line("token", "%d", e.Holder.Token)
	}
	wait := "Wait with -w 10m"
	if errors.Is(e, ldlm.ErrWaitTimeout) && h.waits {
		wait = "Wait longer than " + shortDuration(h.wait)
	}
	fmt.Fprintf(&b, "\n%s, or look: ldlm get %s", wait, shellWord(e.Name))
	return b.String()
}

// quietLeft is for how long nothing is granted yet, after a restore, where nobody else is in the
// way.
func (h *holder) quietLeft(ctx context.Context, e *ldlm.HeldError) time.Duration {
	if e.Holder.Token != 0 || e.DelayLeft > 0 {
		return 0
	}
	s, err := h.client.Admin().Status(ctx)
	if err != nil {
		return 0 // it was about a detail
	}
	return s.QuietLeft
}

// obstacle is what is in the way.
func obstacle(e *ldlm.HeldError) string {
	switch {
	case e.Holder.Token != 0 && !e.Holder.Delay && e.Holders > 1:
		return "is held by other clients"
	case e.Holder.Token != 0 && !e.Holder.Delay:
		return "is held by another client"
	case e.DelayLeft > 0:
		return "is shut for a while"
	case e.Waiting > 0:
		return "is wanted by others, who came first"
	default:
		return "was not free in time"
	}
}

// pulse says how lively the session of a holder is, if it has one and that can
// be found out.
func (h *holder) pulse(ctx context.Context, holder ldlm.Holder) string {
	if holder.Session == 0 {
		if holder.LeaseLeft > 0 {
			return ", lease ends in " + shortDuration(holder.LeaseLeft)
		}
		return ""
	}
	return h.sessionPulse(ctx, holder.Session)
}

// clientName names a client for people.
func clientName(c ldlm.ClientInfo) string {
	name := c.Host
	if name == "" {
		name = c.Remote
	}
	if name == "" {
		name = "somebody"
	}
	if c.User != "" {
		name = c.User + "@" + name
	}
	if c.PID != 0 {
		name += fmt.Sprintf(" pid %d", c.PID)
	}
	if c.Program != "" {
		name += " (" + c.Program + ")"
	}
	return visible(name)
}
