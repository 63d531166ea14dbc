package cli

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/document"
)

// An lsCommand lists locks.
type lsCommand struct {
	*outputFlags
	pattern               pattern
	held, contended, idle bool
	sort                  string
}

func newLs(p *Process) *cobra.Command {
	ls := &lsCommand{}
	c := &cobra.Command{
		Use:     "ls [PATTERN]",
		Aliases: []string{"list"},
		Short:   "List locks: who holds them, since when, who waits",
		Long: "Lists the locks whose names match PATTERN: a * in it stands for any text. Without\n" +
			"PATTERN it lists all.\n\n" +
			"LEASE is what is left of the hold's own lease; else session, for holds that last\n" +
			"as long as their session does, or what is left of a session without connection.\n" +
			"A name with control characters is shown with them escaped; -o json has it exactly.",
		Example: "  ldlm ls --contended\n" +
			"  ldlm ls --sort none -o name | wc -l              as they come: quick, and nothing is kept\n" +
			"  ldlm ls 'invoice/*' --sort age\n" +
			"  ldlm ls -o go-template='{{range .locks}}{{.name}} {{.waiter_count}}{{\"\\n\"}}{{end}}'",
		Args: arguments(0, "PATTERN"),
		RunE: func(c *cobra.Command, args []string) error {
			if ls.held && ls.contended || ls.held && ls.idle || ls.contended && ls.idle {
				return misused(c, errors.New("of --held, --contended and --idle one is enough"))
			}
			ls.pattern = pattern(argument(args, 0))
			return ls.showList(c.Context(), ls.list())
		},
	}
	ls.outputFlags = addOutputFlags(p, c)
	ls.addWatch(c)
	flags := c.Flags()
	flags.BoolVar(&ls.held, "held", false, "only locks that somebody holds")
	flags.BoolVar(&ls.contended, "contended", false, "only locks that somebody waits for")
	flags.BoolVar(&ls.idle, "idle", false, "only locks that nobody holds or waits for")
	flags.Var(choiceValue(&ls.sort, sortName, sortAge, sortWaiters, sortLease, sortNone), "sort",
		"by name, age (oldest first), waiters (most first) or lease (next to end first); none is quickest")
	completeLocks(ls.clientFlags, c)
	completeWords(c, "sort", sortName, sortAge, sortWaiters, sortLease, sortNone)
	return c
}

// Orders of ls.
const (
	sortName    = "name"
	sortAge     = "age"
	sortWaiters = "waiters"
	sortLease   = "lease"
	sortNone    = "none" // as they come
)

// list is what ls shows.
func (ls *lsCommand) list() *list {
	return &list{field: "locks", heads: lsHeads, unsorted: ls.sort == sortNone, each: ls.each}
}

// each goes through the locks that are wanted.
func (ls *lsCommand) each(ctx context.Context, c *ldlm.Client, now time.Time) iter.Seq2[element, error] {
	return func(yield func(element, error) bool) {
		sessions := &sessionsLeft{flags: ls.clientFlags, client: c}
		locks := func(ctx context.Context) iter.Seq2[ldlm.LockInfo, error] {
			return c.Admin().List(ctx, ldlm.WithPrefix(ls.pattern.prefix()), ldlm.WithState(ls.state()))
		}
		for info, err := range inParts(ctx, ls.clientFlags, locks) {
			if err == nil && !ls.pattern.matches(info.Name) {
				continue
			}
			l := lockDocument(info, now)
			if err == nil {
				err = sessions.add(ctx, &l)
			}
			if !yield(lockElement(l, ls.sort), err) || err != nil {
				return
			}
		}
	}
}

func lockElement(l document.Lock, sort string) element {
	return element{name: l.Name, key: sortKey(l, sort), doc: l, row: func(wide bool) []cell { return lsRow(l, wide) }}
}

func (ls *lsCommand) state() ldlm.LockState {
	switch {
	case ls.held:
		return ldlm.StateHeld
	case ls.contended:
		return ldlm.StateContended
	case ls.idle:
		return ldlm.StateIdle
	default:
		return ldlm.AnyState
	}
}

// sessionsLeft knows of sessions without a connection what is left of them. It asks when
// that is needed first.
type sessionsLeft struct {
	flags  *clientFlags
	client *ldlm.Client
	left   map[document.Number]time.Duration // nil before
}

// add says of holds that last as long as their session what is left of that, where no
// connection is attached to it.
func (s *sessionsLeft) add(ctx context.Context, l *document.Lock) error {
	for i := range l.Holders {
		h := &l.Holders[i]
		if h.Session == "" || h.LeaseMS != nil {
			continue
		}
		if err := s.ask(ctx); err != nil {
			return err
		}
		if left, ok := s.left[h.Session]; ok {
			h.SessionLeft, h.SessionLeftMS = document.Span(left)
		}
	}
	return nil
}

func (s *sessionsLeft) ask(ctx context.Context) error {
	if s.left != nil {
		return nil
	}
	s.left = map[document.Number]time.Duration{}
	for session, err := range inParts(ctx, s.flags, s.client.Admin().Sessions) {
		if err != nil {
			return err
		}
		if session.Left >= 0 {
			s.left[document.NumberOf(session.Number)] = session.Left
		}
	}
	return nil
}

// sortKey puts locks in order; those of the same key go by name.
func sortKey(l document.Lock, sort string) int64 {
	switch sort {
	case sortAge:
		return -int64(oldest(l))
	case sortWaiters:
		return -int64(l.WaiterCount)
	case sortLease:
		return int64(nextEnd(l))
	default:
		return 0
	}
}

// oldest is how long the oldest hold of a lock lasts.
func oldest(l document.Lock) time.Duration {
	if len(l.Holders) == 0 {
		return -1
	}
	return inGo(l.Holders[0].HeldMS)
}

// nextEnd is when a lease of a lock ends next.
func nextEnd(l document.Lock) time.Duration {
	const never = 1<<63 - 1
	next := time.Duration(never)
	for _, h := range l.Holders {
		for _, ms := range []*int64{h.LeaseMS, h.SessionLeftMS} {
			if ms != nil {
				next = min(next, inGo(ms))
			}
		}
	}
	return next
}

func lsHeads(wide bool) []string {
	heads := []string{"NAME", "MODE", "SIZE", "HELD BY", "AGE", "LEASE", "WAITERS"}
	if wide {
		heads = append(heads, "TOKEN", "SESSION", "FROM", "IDLE", "REASON")
	}
	return heads
}

func lsRow(l document.Lock, wide bool) []cell {
	waiting := plain
	if l.WaiterCount > 0 {
		waiting = attention
	}
	row := []cell{
		{l.Name, plain},
		{modeText(l), plain},
		{sizeText(l), plain},
		{holdersText(l), plain},
		{"-", plain},
		{"-", plain},
		{number(l.WaiterCount), waiting},
	}
	const age, lease = 4, 5
	h := document.Holder{}
	if l.HolderCount == 1 && len(l.Holders) == 1 {
		h = l.Holders[0]
		row[age].text, row[lease] = shortDuration(inGo(h.HeldMS)), leaseCell(h)
	}
	if !wide {
		return row
	}
	from, idle := "", "-"
	if h.Client != nil {
		from = h.Client.Remote
	}
	if l.IdleMS != nil {
		idle = shortDuration(inGo(l.IdleMS))
	}
	return append(row, cell{either(string(h.Token), "-"), plain}, cell{either(string(h.Session), "-"), plain},
		cell{either(from, "-"), plain}, cell{idle, plain}, cell{either(h.Reason, "-"), plain})
}

// modeText is how a lock is held, or what can be known of one that is not.
func modeText(l document.Lock) string {
	switch {
	case l.Size > 1:
		return "sem"
	case l.Mode == document.Exclusive:
		return "excl"
	case l.Mode == document.Shared:
		return "shared"
	default:
		return "-"
	}
}

func sizeText(l document.Lock) string {
	if l.Mode == document.Shared {
		return number(l.Size)
	}
	return number(l.Held) + "/" + number(l.Size)
}

func holdersText(l document.Lock) string {
	switch {
	case l.HolderCount == 0:
		return "-"
	case l.HolderCount > 1 || len(l.Holders) != 1:
		return counted(l.HolderCount, "holder", "holders")
	case l.Holders[0].Delay:
		return "nobody (lock delay)"
	default:
		return clientText(l.Holders[0].Client, l.Holders[0].Session)
	}
}

// leaseCell says what ends a hold.
func leaseCell(h document.Holder) cell {
	switch {
	case h.LeaseMS != nil:
		return cell{shortDuration(inGo(h.LeaseMS)), plain}
	case h.SessionLeftMS != nil:
		return cell{shortDuration(inGo(h.SessionLeftMS)), trouble}
	case h.Session != "":
		return cell{"session", plain}
	default:
		return cell{"-", plain}
	}
}
