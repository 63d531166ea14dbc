package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/document"
)

// An unlockCommand releases a hold by its key, or takes it from its holder.
type unlockCommand struct {
	*clientFlags
	confirmation
	command     *cobra.Command
	force, wait bool
	token       uint64
	reason      string
	name, key   string
}

func newUnlock(p *Process) *cobra.Command {
	u := &unlockCommand{}
	c := &cobra.Command{
		Use:   "unlock NAME [KEY]",
		Short: "Release a hold by its key, or take it from its holder",
		Long: "With KEY, releases the hold that was granted with it, and all that were granted\n" +
			"together with it.\n\n" +
			"With --force, takes the lock from its holder. On a terminal it says whom that\n" +
			"meets, and has you type the lock's name. A script gives --yes, and says with KEY\n" +
			"or --token which hold it means: if that one has ended meanwhile, nothing happens\n" +
			"to the next one. ldlm get NAME shows the tokens.",
		Example: "  ldlm unlock invoice/77 6b0ad1b4-3b5c-4a92-8a3c-1f7c5e0f6d21\n" +
			"  ldlm unlock --force nightly-backup --reason 'db-1 is being replaced'\n" +
			"  ldlm unlock --force --yes --token 8817 nightly-backup",
		Args: arguments(1, "NAME", "KEY"),
		RunE: func(c *cobra.Command, args []string) error {
			u.name, u.key = args[0], argument(args, 1)
			if err := u.check(); err != nil {
				return err
			}
			if u.force {
				return u.takeAway(c.Context())
			}
			return u.release(c.Context())
		},
	}
	u.command, u.clientFlags = c, addClientFlags(p, c)
	u.add(c)
	flags := c.Flags()
	flags.BoolVar(&u.force, "force", false, "take the lock from its holder")
	flags.Uint64Var(&u.token, "token", 0, "with --force, `TOKEN` of the hold that is meant")
	flags.BoolVar(&u.wait, "wait", false, "with --force, ask the holder to let go, and wait until it has or must believe the lock lost")
	flags.StringVar(&u.reason, "reason", "", "with --force, why: a `TEXT` for the record")
	completeLocks(u.clientFlags, c)
	return c
}

// check refuses flags that do not go together.
func (u *unlockCommand) check() error {
	switch {
	case u.force && u.key != "" && u.token != 0:
		return misused(u.command, errors.New("KEY and --token both say which hold is meant; one is enough"))
	case u.force:
		return nil
	case u.token != 0 || u.wait || u.reason != "" || u.yes:
		return misused(u.command, errors.New("--token, --wait, --reason and --yes go with --force"))
	case u.key == "":
		return misused(u.command, errors.New("KEY is missing; without it --force takes the lock from its holder"))
	default:
		return nil
	}
}

// release releases by key.
func (u *unlockCommand) release(ctx context.Context) error {
	return u.ask(ctx, func(ctx context.Context, c *ldlm.Client) error {
		err := c.ReleaseKey(ctx, u.name, u.key)
		if err == nil {
			u.note("released %s", quoteName(u.name))
		}
		return err
	})
}

// takeAway takes the lock from its holder.
func (u *unlockCommand) takeAway(ctx context.Context) error {
	asks, err := u.needed(u.p, u.command)
	if err != nil {
		return err
	}
	if !asks && u.key == "" && u.token == 0 {
		return u.ask(ctx, u.askForToken)
	}
	var hold document.Holder
	err = u.ask(ctx, func(ctx context.Context, c *ldlm.Client) (err error) {
		hold, err = u.find(ctx, c)
		if err == nil && asks {
			u.tellImpact(ctx, c, hold)
		}
		return err
	})
	if err == nil && asks {
		err = u.p.confirm("Type the lock name to force release", u.name)
	}
	if err != nil {
		return err
	}
	return u.connected(ctx, func(ctx context.Context, c *ldlm.Client) error { return u.end(ctx, c, hold) })
}

// askForToken refuses to take away whatever is held, and says how to mean it.
func (u *unlockCommand) askForToken(ctx context.Context, c *ldlm.Client) error {
	hold, err := u.find(ctx, c)
	if err != nil {
		return err
	}
	return &exitError{code: exitUsage, err: fmt.Errorf(
		"ldlm: with --yes, say which hold you mean, so that a newer one is not met: it is held by %s\nIf that is it: ldlm unlock --force --yes --token %s %s",
		printable(clientText(hold.Client, hold.Session)), hold.Token, shellWord(u.name))}
}

// find returns the hold that is meant.
func (u *unlockCommand) find(ctx context.Context, c *ldlm.Client) (document.Holder, error) {
	l, err := u.getLock(ctx, c, u.name)
	if err != nil {
		return document.Holder{}, err
	}
	for _, h := range l.Holders {
		switch {
		case h.Delay:
		case u.token != 0 && h.Token == document.NumberOf(u.token), u.key != "" && h.KeyPrefix != "" && strings.HasPrefix(u.key, h.KeyPrefix):
			return h, nil
		case u.token == 0 && u.key == "" && l.HolderCount == 1:
			return h, nil
		}
	}
	return document.Holder{}, &exitError{code: exitFailure, err: errors.New("ldlm: " + u.notFound(l))}
}

// notFound says why no hold is meant.
func (u *unlockCommand) notFound(l document.Lock) string {
	name := quoteName(u.name)
	look := "\nLook: ldlm get " + shellWord(u.name)
	isToken := u.key != "" && slices.ContainsFunc(l.Holders, func(h document.Holder) bool { return string(h.Token) == u.key })
	switch {
	case l.State != document.Held:
		return name + " is not held"
	case isToken:
		return name + ": " + u.key + " is the token of a hold, not its key; nothing was changed" +
			"\nIf you mean that hold: ldlm unlock --force --token " + u.key + " " + shellWord(u.name)
	case u.token != 0 || u.key != "":
		return name + ": the hold that you mean has ended; it is held by " + printable(holdersText(l)) +
			" now, and nothing was changed" + look
	case l.HolderCount == 1:
		return name + " is not held; the lock delay after its last holder keeps it shut" + look
	default:
		return name + " has " + number(l.HolderCount) + " holders; --token says which one you mean" + look
	}
}

// tellImpact says whom it meets.
func (u *unlockCommand) tellImpact(ctx context.Context, c *ldlm.Client, h document.Holder) {
	fmt.Fprintf(u.p.Stderr, "Holder %s %s.\n", printable(clientText(h.Client, h.Session)), u.signOfLife(ctx, c, h))
	if h.Reason != "" {
		fmt.Fprintf(u.p.Stderr, "It holds the lock for: %s\n", printable(h.Reason))
	}
	if u.wait {
		fmt.Fprintln(u.p.Stderr, "It will be asked to let go; the lock passes on when it does, or when it must believe the lock lost.")
		return
	}
	fmt.Fprintln(u.p.Stderr, "It will be told the lock is gone; code that does not check may run beside the next holder.")
}

// signOfLife says when a holder was last heard of, and what that means.
func (u *unlockCommand) signOfLife(ctx context.Context, c *ldlm.Client, h document.Holder) string {
	const held = "has held it for "
	number, err := strconv.ParseUint(string(h.Session), 10, 64)
	if err != nil {
		return held + shortDuration(inGo(h.HeldMS)) + ", outside a session; " + leaseText(h)
	}
	s, err := c.Admin().Session(ctx, number)
	switch {
	case err != nil:
		return held + shortDuration(inGo(h.HeldMS)) + "; nothing is known of its session (" + withoutPackage(err) + ")"
	case !s.Attached:
		return "is not connected; without you it loses the lock in " + shortDuration(s.Left)
	case s.LastHeard >= 0:
		return "renewed " + shortDuration(s.LastHeard) + " ago and is probably still working"
	default:
		return "is connected and probably still working"
	}
}

// end ends a hold and says what that meant.
func (u *unlockCommand) end(ctx context.Context, c *ldlm.Client, h document.Holder) error {
	token, err := strconv.ParseUint(string(h.Token), 10, 64)
	if err != nil {
		return fmt.Errorf("a hold without a token: %w", err)
	}
	var opts []ldlm.ForceOption
	if u.wait {
		opts = append(opts, ldlm.Gently())
	}
	var forced ldlm.Forced
	err = u.inTime(ctx, func(ctx context.Context) (err error) {
		forced, err = c.Admin().ForceRelease(ctx, u.name, token, u.reason, opts...)
		return err
	})
	if err == nil && !forced.Ended {
		u.say("The holder was asked to let go; it loses the lock in %s if it does not.", shortDuration(forced.MayBelieve))
		err = u.awaitEnd(ctx, c, h.Token, forced.MayBelieve)
	}
	if err != nil {
		return err
	}
	recorded, belief := "", ""
	if forced.Recorded {
		recorded = " Recorded in the audit log."
	}
	if forced.Ended && forced.MayBelieve > 0 {
		belief = " If word of it does not reach the former holder, that may believe in the lock for " + shortDuration(forced.MayBelieve) + " more."
	}
	u.say("Released. %s%s%s", u.next(ctx, c, h.Token), recorded, belief)
	return nil
}

// say tells people something in a sentence, unless they want it quiet.
func (u *unlockCommand) say(format string, args ...any) {
	if !u.quiet {
		fmt.Fprintf(u.p.Stderr, format+"\n", args...)
	}
}

// awaitEnd waits until a hold that was asked back has ended.
func (u *unlockCommand) awaitEnd(ctx context.Context, c *ldlm.Client, token document.Number, most time.Duration) error {
	const every = 100 * time.Millisecond
	pause := time.NewTicker(every)
	defer pause.Stop()
	ctx, cancel := context.WithTimeoutCause(ctx, most+u.timeout, &noAnswerError{most + u.timeout})
	defer cancel()
	for {
		l, err := u.getLock(ctx, c, u.name)
		if errors.Is(err, ldlm.ErrNotFound) || err == nil && !holdsToken(l, token) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-pause.C:
		}
	}
}

func holdsToken(l document.Lock, token document.Number) bool {
	for _, h := range l.Holders {
		if h.Token == token && !h.Delay {
			return true
		}
	}
	return false
}

// next says who holds the lock after a hold has ended.
func (u *unlockCommand) next(ctx context.Context, c *ldlm.Client, ended document.Number) string {
	var l document.Lock
	err := u.inTime(ctx, func(ctx context.Context) (err error) {
		l, err = u.getLock(ctx, c, u.name)
		return err
	})
	if errors.Is(err, ldlm.ErrNotFound) {
		return "Nobody waits for it."
	}
	if err != nil {
		return "Who holds it next is not known (" + withoutPackage(err) + ")."
	}
	for _, h := range l.Holders {
		if h.Delay {
			return "The lock delay keeps it shut " + leaseText(h) + "."
		}
		if newer(h.Token, ended) {
			return "Next holder: " + printable(clientText(h.Client, h.Session)) + " (token " + string(h.Token) + ")."
		}
	}
	if l.WaiterCount > 0 {
		return counted(l.WaiterCount, "request waits", "requests wait") + " for more permits than are free."
	}
	return "Nobody waits for it."
}

// newer reports whether a token was given out after another one.
func newer(a, b document.Number) bool { return len(a) > len(b) || len(a) == len(b) && a > b }
