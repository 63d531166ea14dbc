package cli

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/document"
)

func newSessions(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "sessions",
		Short: "Show and end sessions: clients, and what they hold",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newSessionsLs(p), newSessionsGet(p), newSessionsKill(p))
	return c
}

func newSessionsLs(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List sessions",
		Args:    noArgs,
	}
	o := addOutputFlags(p, c)
	o.addWatch(c)
	c.RunE = func(c *cobra.Command, _ []string) error { return o.showList(c.Context(), sessionList(o.clientFlags)) }
	return c
}

// sessionList shows all sessions, by their numbers.
func sessionList(f *clientFlags) *list {
	return &list{
		field: "sessions",
		heads: sessionHeads,
		each: func(ctx context.Context, c *ldlm.Client, now time.Time) iter.Seq2[element, error] {
			return func(yield func(element, error) bool) {
				for s, err := range inParts(ctx, f, c.Admin().Sessions) {
					if !yield(sessionElement(sessionDocument(s, now)), err) {
						return
					}
				}
			}
		},
	}
}

func sessionElement(s document.Session) element {
	// Numbers without leading zeros: the longer is the greater.
	return element{
		name: string(s.Session), key: int64(len(s.Session)), doc: s,
		row: func(wide bool) []cell { return sessionRow(s, wide) },
	}
}

func sessionHeads(wide bool) []string {
	heads := []string{"SESSION", "CLIENT", "STATE", "AGE", "TTL", "HEARD", "HOLDS", "WAITS"}
	if wide {
		heads = append(heads, "PRINCIPAL", "PROGRAM", "FROM", "LIBRARY")
	}
	return heads
}

func sessionRow(s document.Session, wide bool) []cell {
	heard := "-"
	if s.LastHeardMS != nil {
		heard = shortDuration(inGo(s.LastHeardMS)) + " ago"
	}
	row := []cell{
		{string(s.Session), plain},
		{clientText(s.Client, ""), plain},
		sessionState(s),
		{shortDuration(inGo(s.AgeMS)), plain},
		{shortDuration(inGo(s.TTLMS)), plain},
		{heard, plain},
		{number(s.HoldCount), plain},
		{number(s.WaitCount), plain},
	}
	if !wide {
		return row
	}
	client := document.Client{}
	if s.Client != nil {
		client = *s.Client
	}
	from := client.Remote
	if client.Transport != "" && from != "" {
		from = client.Transport + " " + from
	}
	for _, text := range []string{client.Principal, client.Program, from, client.Library} {
		row = append(row, cell{either(text, "-"), plain})
	}
	return row
}

func sessionState(s document.Session) cell {
	if s.Attached {
		return cell{"attached", plain}
	}
	return cell{"detached, ends in " + shortDuration(inGo(s.LeftMS)), attention}
}

// sessionNumber reads the argument that says which session is meant.
func sessionNumber(c *cobra.Command, text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 {
		return 0, misused(c, fmt.Errorf("%q is no number of a session; ldlm sessions ls shows them", text))
	}
	return n, nil
}

// unlessNoSession says it if there is no session of that number.
func unlessNoSession(err error, n uint64) error {
	if !errors.Is(err, ldlm.ErrNotFound) {
		return err
	}
	return &exitError{code: exitFailure, err: fmt.Errorf("ldlm: there is no session %d\nWhat there is: ldlm sessions ls", n)}
}

func newSessionsGet(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:     "get NUMBER",
		Aliases: []string{"describe"},
		Short:   "Show a session: its client, what it holds and waits for",
		Args:    arguments(1, "NUMBER"),
	}
	o := addOutputFlags(p, c)
	o.addWatch(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		n, err := sessionNumber(c, args[0])
		if err != nil {
			return err
		}
		return o.show(c.Context(), func(ctx context.Context, c *ldlm.Client) (view, error) {
			s, err := c.Admin().Session(ctx, n)
			if err != nil {
				return view{}, unlessNoSession(err, n)
			}
			return sessionView(sessionDocument(s, time.Now())), nil
		})
	}
	completeSessions(o.clientFlags, c)
	return c
}

func sessionView(s document.Session) view {
	return view{
		doc: s, names: []string{string(s.Session)},
		lines: func(_, color bool) []string {
			sheet := &sheet{color: color}
			sheet.field("Session", string(s.Session))
			describeClient(sheet, s.Client)
			state := sessionState(s)
			if s.LastHeardMS != nil {
				state.text += ", last heard of " + shortDuration(inGo(s.LastHeardMS)) + " ago"
			}
			sheet.block("State", &table{rows: [][]cell{{state}}})
			sheet.field("Age", shortDuration(inGo(s.AgeMS)))
			sheet.field("TTL", shortDuration(inGo(s.TTLMS)))
			if len(s.Value) > 0 {
				sheet.field("Value", fmt.Sprintf("%q", s.Value))
			}
			if len(s.Holds) > 0 {
				sheet.block("Holds", holdsTable(s))
			}
			if len(s.Waits) > 0 {
				sheet.block("Waits for", waitsTable(s))
			}
			return sheet.lines()
		},
	}
}

func describeClient(s *sheet, c *document.Client) {
	s.field("Client", clientText(c, ""))
	if c == nil {
		return
	}
	for _, f := range [][2]string{
		{"Principal", c.Principal},
		{"Program", c.Program},
		{"Library", c.Library},
		{"From", c.Remote},
		{"Over", c.Transport},
		{"Labels", labelsText(c.Labels)},
	} {
		if f[1] != "" {
			s.field(f[0], f[1])
		}
	}
}

func holdsTable(s document.Session) *table {
	t := &table{}
	for _, h := range s.Holds {
		text := leaseText(h)
		switch {
		case h.Delay:
			text = "lock delay, " + text
		case h.Revoked:
			text = "revoked: an administrator waits for it"
		case h.LeaseMS == nil:
			text = "" // as long as the session, of course
		}
		t.add(cell{h.Lock, plain}, cell{"token " + string(h.Token), plain}, cell{"held " + shortDuration(inGo(h.HeldMS)), plain},
			cell{sharing(h.Mode, h.Permits), plain}, cell{text, plain})
	}
	if more := s.HoldCount - len(s.Holds); more > 0 {
		t.addTexts(plain, fmt.Sprintf("and %d more", more))
	}
	return t
}

func waitsTable(s document.Session) *table {
	t := &table{}
	for _, w := range s.Waits {
		text := "waiting " + shortDuration(inGo(w.WaitedMS))
		if w.GivesUpInMS != nil {
			text += ", gives up in " + shortDuration(inGo(w.GivesUpInMS))
		}
		t.add(cell{w.Lock, plain}, cell{text, plain}, cell{sharing(w.Mode, w.Permits), plain})
	}
	if more := s.WaitCount - len(s.Waits); more > 0 {
		t.addTexts(plain, fmt.Sprintf("and %d more", more))
	}
	return t
}

// sharing says what is unusual in a hold or request.
func sharing(mode string, permits int) string {
	switch {
	case mode == document.Shared:
		return "shared"
	case permits > 1:
		return number(permits) + " permits"
	default:
		return ""
	}
}

// A killCommand ends a session.
type killCommand struct {
	*clientFlags
	confirmation
	reason string
}

func newSessionsKill(p *Process) *cobra.Command {
	k := &killCommand{}
	c := &cobra.Command{
		Use:   "kill NUMBER",
		Short: "End a session with everything that it holds and waits for",
		Long: "Ends a session with everything that it holds and waits for, against its client's\n" +
			"will. On a terminal it says what that takes, and has you type the number; without\n" +
			"one it needs --yes. Numbers are never used again.",
		Example: "  ldlm sessions kill 17 --reason 'runner is gone'",
		Args:    arguments(1, "NUMBER"),
		RunE: func(c *cobra.Command, args []string) error {
			n, err := sessionNumber(c, args[0])
			if err != nil {
				return err
			}
			asks, err := k.needed(p, c)
			if err != nil {
				return err
			}
			return k.run(c.Context(), n, asks)
		},
	}
	k.clientFlags = addClientFlags(p, c)
	k.add(c)
	c.Flags().StringVar(&k.reason, "reason", "", "why: a `TEXT` for the record")
	completeSessions(k.clientFlags, c)
	return c
}

func (k *killCommand) run(ctx context.Context, n uint64, asks bool) error {
	if asks {
		if err := k.ask(ctx, func(ctx context.Context, c *ldlm.Client) error { return k.tellImpact(ctx, c, n) }); err != nil {
			return err
		}
		if err := k.p.confirm("Type the number of the session to end it", strconv.FormatUint(n, 10)); err != nil {
			return err
		}
	}
	return k.ask(ctx, func(ctx context.Context, c *ldlm.Client) error {
		forced, err := c.Admin().KillSession(ctx, n, k.reason)
		if err != nil {
			return unlessNoSession(err, n)
		}
		recorded, belief := "", ""
		if forced.Recorded {
			recorded = ", recorded in the audit log"
		}
		if forced.MayBelieve > 0 {
			belief = "; if word of it does not reach its client, that may believe in its locks for " + shortDuration(forced.MayBelieve) + " more"
		}
		k.note("session %d is ended%s%s", n, recorded, belief)
		return nil
	})
}

// tellImpact says whom it meets.
func (k *killCommand) tellImpact(ctx context.Context, c *ldlm.Client, n uint64) error {
	s, err := c.Admin().Session(ctx, n)
	if err != nil {
		return unlessNoSession(err, n)
	}
	d := sessionDocument(s, time.Now())
	fmt.Fprintf(k.p.Stderr, "Session %d of %s holds %s and waits for %d; it is %s.\n", n, printable(clientText(d.Client, "")),
		counted(s.Holds, "lock", "locks"), s.Waits, sessionState(d).text)
	if s.Holds > 0 {
		fmt.Fprintln(k.p.Stderr, "Its client will be told that its locks are gone; code that does not check may run beside the next holders.")
	}
	return nil
}

// completeSessions completes the first argument by the numbers of sessions.
func completeSessions(f *clientFlags, c *cobra.Command) {
	c.ValidArgsFunction = func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return f.sessionNumbers(c.Context()), cobra.ShellCompDirectiveNoFileComp
	}
}
