package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/document"
)

func newGet(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:     "get NAME",
		Aliases: []string{"describe"},
		Short:   "Show a lock: its holders, its queue in order, what happened last",
		Example: "  ldlm get nightly-backup\n" +
			"  ldlm get nightly-backup -o go-template='{{range .holders}}{{.token}}{{end}}'",
		Args: arguments(1, "NAME"),
	}
	o := addOutputFlags(p, c)
	o.addWatch(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return o.show(c.Context(), func(ctx context.Context, c *ldlm.Client) (view, error) {
			l, err := o.getLock(ctx, c, args[0])
			if err != nil {
				return view{}, err
			}
			return lockView(l), nil
		})
	}
	completeLocks(o.clientFlags, c)
	return c
}

// getLock returns a lock, and of holds that last as long as their session what is
// left of that, if no connection is attached to it.
func (f *clientFlags) getLock(ctx context.Context, c *ldlm.Client, name string) (document.Lock, error) {
	info, err := c.Admin().Get(ctx, name)
	if err != nil {
		return document.Lock{}, err
	}
	l := lockDocument(info, time.Now())
	return l, (&sessionsLeft{flags: f, client: c}).add(ctx, &l)
}

func lockView(l document.Lock) view {
	return view{
		doc: l, names: []string{l.Name},
		lines: func(wide, color bool) []string {
			s := &sheet{color: color}
			s.field("Name", l.Name)
			s.block("State", &table{rows: [][]cell{{stateCell(l)}}})
			describeHolders(s, l, wide)
			if len(l.Waiters) > 0 {
				s.block("Queue", queueTable(l, wide))
			}
			if l.FreeBehindHead > 0 {
				s.field("Free", freeText(l))
			}
			if len(l.Events) > 0 {
				s.block("Events", eventsTable(l.Events))
			}
			return s.lines()
		},
	}
}

// stateCell says how a lock is held, in a line.
func stateCell(l document.Lock) cell {
	kind := fmt.Sprintf("size %d", l.Size)
	switch {
	case l.State == document.Held && l.Mode == document.Shared:
		return cell{fmt.Sprintf("held (shared by %d, size 1), fence %s", l.SharedHolds, either(string(l.Fence), "none")), good}
	case l.State == document.Held && l.Holders[0].Delay && l.HolderCount == 1:
		return cell{"shut by the lock delay after its holder was lost (" + kind + ")", trouble}
	case l.State == document.Held && l.Size == 1:
		return cell{"held (exclusive, size 1), token " + string(l.Holders[0].Token), good}
	case l.State == document.Held:
		return cell{fmt.Sprintf("held (%d of %d permits, by %d), newest token %s", l.Held, l.Size, l.HolderCount, newestToken(l)), good}
	case l.State == document.Free:
		return cell{"not held, but waited for (" + kind + ")", attention}
	default:
		return cell{fmt.Sprintf("idle (%s), for %s", kind, shortDuration(inGo(l.IdleMS))), faint}
	}
}

func newestToken(l document.Lock) document.Number {
	newest := l.Holders[0].Token
	for _, h := range l.Holders {
		if newer(h.Token, newest) {
			newest = h.Token
		}
	}
	return newest
}

// describeHolders adds a line for each hold, or a few lines if there is one.
func describeHolders(s *sheet, l document.Lock, wide bool) {
	if len(l.Holders) == 1 && l.HolderCount == 1 {
		h := l.Holders[0]
		s.field("Holder", holderText(h, wide))
		describeHold(s, h)
		return
	}
	t := &table{}
	for i, h := range l.Holders {
		text := holderText(h, wide)
		if h.Permits > 1 {
			text += ", " + counted(h.Permits, "permit", "permits")
		}
		t.add(cell{number(i + 1), faint}, cell{text, plain}, cell{"token " + string(h.Token), plain}, cell{leaseText(h), plain}, cell{h.Reason, plain})
	}
	if more := l.HolderCount - len(l.Holders); more > 0 {
		t.add(cell{"", plain}, cell{fmt.Sprintf("and %d more", more), plain})
	}
	s.block("Holders", t)
}

// holderText says who holds, from where, and since when.
func holderText(h document.Holder, wide bool) string {
	if h.Delay {
		return "nobody: the lock delay after " + clientText(h.Client, h.Session) + ", " + leaseText(h)
	}
	parts := []string{clientText(h.Client, "")}
	if h.Session != "" {
		parts = append(parts, "session "+string(h.Session))
	}
	if c := h.Client; c != nil {
		if c.Remote != "" {
			parts = append(parts, strings.TrimSpace(c.Transport+" "+c.Remote))
		}
		if c.Program != "" {
			parts[0] += " (" + c.Program + ")"
		}
		if wide && c.Principal != "" {
			parts = append(parts, "principal "+c.Principal)
		}
		if wide && c.Library != "" {
			parts = append(parts, c.Library)
		}
	}
	return strings.Join(append(parts, sinceText(h)), ", ")
}

func sinceText(h document.Holder) string {
	held := shortDuration(inGo(h.HeldMS))
	if h.Since == nil {
		return "for " + held
	}
	return "since " + clockText(time.Time(*h.Since), inGo(h.HeldMS)) + " (" + held + ")"
}

// clockText shows a time of day, with the day if it is long ago.
func clockText(t time.Time, ago time.Duration) string {
	const today = 12 * time.Hour
	if ago > today {
		return t.Format("2006-01-02 15:04:05")
	}
	return t.Format(time.TimeOnly)
}

// describeHold adds what there is to say of the only hold.
func describeHold(s *sheet, h document.Holder) {
	if h.Delay {
		return
	}
	s.field("Lease", strings.TrimPrefix(leaseText(h), "lease "))
	if h.Reason != "" {
		s.field("Reason", h.Reason)
	}
	if len(h.Labels) > 0 {
		s.field("Labels", labelsText(h.Labels))
	}
	if len(h.Value) > 0 {
		s.field("Value", fmt.Sprintf("%q", h.Value))
	}
	if h.Revoked {
		s.block("Revoked", &table{rows: [][]cell{{{"an administrator waits for the holder to let go", trouble}}}})
	}
}

// leaseText says what ends a hold.
func leaseText(h document.Holder) string {
	switch {
	case h.LeaseMS != nil && h.Delay:
		return "for " + shortDuration(inGo(h.LeaseMS)) + " more"
	case h.LeaseMS != nil:
		return "lease ends in " + shortDuration(inGo(h.LeaseMS))
	case h.SessionLeftMS != nil:
		return "not connected, session ends in " + shortDuration(inGo(h.SessionLeftMS))
	case h.Session != "":
		return "as long as the session"
	default:
		return "without end"
	}
}

func labelsText(labels map[string]string) string {
	var all []string
	for k, v := range labels {
		all = append(all, k+"="+v)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// queueTable has a row for each waiter, first come first.
func queueTable(l document.Lock, wide bool) *table {
	t := &table{}
	for i, w := range l.Waiters {
		text := "waiting " + shortDuration(inGo(w.WaitedMS))
		if w.GivesUpInMS != nil {
			text += ", gives up in " + shortDuration(inGo(w.GivesUpInMS))
		}
		if w.Permits > 1 {
			text += ", wants " + number(w.Permits) + " permits"
		}
		if w.Mode == document.Shared {
			text += ", shared"
		}
		if w.OtherLocks > 0 {
			text += ", together with " + counted(w.OtherLocks, "other lock", "other locks")
		}
		if w.Reason != "" && wide {
			text += ", reason: " + w.Reason
		}
		t.add(cell{number(i + 1), faint}, cell{clientText(w.Client, w.Session), plain}, cell{text, plain})
	}
	if more := l.WaiterCount - len(l.Waiters); more > 0 {
		t.add(cell{"", plain}, cell{fmt.Sprintf("and %d more", more), plain})
	}
	return t
}

// freeText says why permits are free although somebody waits.
func freeText(l document.Lock) string {
	text := counted(l.FreeBehindHead, "permit stays", "permits stay") + " free: the first of the queue"
	if len(l.Waiters) > 0 {
		text += " wants " + number(l.Waiters[0].Permits) + ", and"
	}
	return text + " is served before all others"
}

// eventsTable has a row for each event, newest first.
func eventsTable(events []document.Event) *table {
	t := &table{}
	newest := time.Time(events[len(events)-1].Time)
	for _, e := range slices.Backward(events) {
		at := time.Time(e.Time)
		t.add(cell{clockText(at, newest.Sub(at)), faint}, cell{wordText(e.Type), eventStyle(e.Type)}, cell{eventText(e), plain})
	}
	return t
}
