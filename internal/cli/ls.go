package cli

import (
	"cmp"
	"context"
	"errors"
	"slices"
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
			"  ldlm ls 'invoice/*' --sort age\n" +
			"  ldlm ls -o go-template='{{range .locks}}{{.name}} {{.waiter_count}}{{\"\\n\"}}{{end}}'",
		Args: arguments(0, "PATTERN"),
		RunE: func(c *cobra.Command, args []string) error {
			if ls.held && ls.contended || ls.held && ls.idle || ls.contended && ls.idle {
				return misused(c, errors.New("of --held, --contended and --idle one is enough"))
			}
			ls.pattern = pattern(argument(args, 0))
			return ls.show(c.Context(), ls.look)
		},
	}
	ls.outputFlags = addOutputFlags(p, c)
	ls.addWatch(c)
	flags := c.Flags()
	flags.BoolVar(&ls.held, "held", false, "only locks that somebody holds")
	flags.BoolVar(&ls.contended, "contended", false, "only locks that somebody waits for")
	flags.BoolVar(&ls.idle, "idle", false, "only locks that nobody holds or waits for")
	flags.Var(choiceValue(&ls.sort, sortName, sortAge, sortWaiters, sortLease), "sort",
		"by name, age (oldest first), waiters (most first) or lease (next to end first)")
	completeLocks(ls.clientFlags, c)
	completeWords(c, "sort", sortName, sortAge, sortWaiters, sortLease)
	return c
}

// Orders of ls.
const (
	sortName    = "name"
	sortAge     = "age"
	sortWaiters = "waiters"
	sortLease   = "lease"
)

func (ls *lsCommand) look(ctx context.Context, c *ldlm.Client) (view, error) {
	now := time.Now()
	list := document.Locks{Time: document.Time(now), Locks: []document.Lock{}}
	for l, err := range c.Admin().List(ctx, ldlm.WithPrefix(ls.pattern.prefix()), ldlm.WithState(ls.state())) {
		if err != nil {
			return view{}, err
		}
		if ls.pattern.matches(l.Name) {
			list.Locks = append(list.Locks, lockDocument(l, now))
		}
	}
	if err := addSessionsLeft(ctx, c, list.Locks); err != nil {
		return view{}, err
	}
	slices.SortFunc(list.Locks, orderOf(ls.sort))
	return lsView(list), nil
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

// addSessionsLeft says of holds that last as long as their session what is left of
// it, where no connection is attached to it.
func addSessionsLeft(ctx context.Context, c *ldlm.Client, locks []document.Lock) error {
	holds := map[document.Number][]*document.Holder{}
	for i := range locks {
		of := locks[i].Holders
		for j := range of {
			if h := &of[j]; h.Session != "" && h.LeaseMS == nil {
				holds[h.Session] = append(holds[h.Session], h)
			}
		}
	}
	if len(holds) == 0 {
		return nil
	}
	for s, err := range c.Admin().Sessions(ctx) {
		if err != nil {
			return err
		}
		for _, h := range holds[document.NumberOf(s.Number)] {
			h.SessionLeft, h.SessionLeftMS = spanUnlessNegative(s.Left)
		}
	}
	return nil
}

// orderOf compares locks; ties go by name.
func orderOf(sort string) func(a, b document.Lock) int {
	key := func(document.Lock) int64 { return 0 }
	switch sort {
	case sortAge:
		key = func(l document.Lock) int64 { return -int64(oldest(l)) }
	case sortWaiters:
		key = func(l document.Lock) int64 { return -int64(l.WaiterCount) }
	case sortLease:
		key = func(l document.Lock) int64 { return int64(nextEnd(l)) }
	}
	return func(a, b document.Lock) int {
		return cmp.Or(cmp.Compare(key(a), key(b)), cmp.Compare(a.Name, b.Name))
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

func lsView(list document.Locks) view {
	v := view{doc: list}
	for _, l := range list.Locks {
		v.names = append(v.names, l.Name)
	}
	v.lines = func(wide, color bool) []string {
		t := &table{}
		t.addTexts(heading, lsHeads(wide)...)
		for _, l := range list.Locks {
			t.add(lsRow(l, wide)...)
		}
		return t.lines(color)
	}
	return v
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
