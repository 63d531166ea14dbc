package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/config"
	"github.com/ldlm-io/ldlm/internal/document"
)

// A watchCommand shows events as they happen.
type watchCommand struct {
	*outputFlags
	pattern pattern
	types   eventTypes
	after   uint64
}

func newWatch(p *Process) *cobra.Command {
	w := &watchCommand{}
	c := &cobra.Command{
		Use:   "watch [PATTERN]",
		Short: "Show what happens to locks and sessions, as it happens",
		Long: "Shows the events of the locks whose names match PATTERN, in which a * stands for\n" +
			"any text; without PATTERN all events, those of sessions too. On a terminal each\n" +
			"is a line for people, elsewhere a line of JSON.\n\n" +
			"It outlives lost connections and servers that start anew. If events were missed,\n" +
			"one of the type reset stands in for them: look with ldlm ls how things are.",
		Example: "  ldlm watch 'invoice/*'\n" +
			"  ldlm watch --types expired,forced,session_expired -o json",
		Args: arguments(0, "PATTERN"),
		RunE: func(c *cobra.Command, args []string) error {
			w.pattern = pattern(argument(args, 0))
			return w.connected(c.Context(), w.run)
		},
	}
	w.outputFlags = addOutputFlags(p, c)
	c.Flags().Var(&w.types, "types", "only such events, separated by commas: "+strings.Join(eventWords(), ", "))
	c.Flags().Uint64Var(&w.after, "after", 0, "go on after the event of this `NUMBER`, if the server still knows it")
	completeLocks(w.clientFlags, c)
	completeWords(c, "types", eventWords()...)
	return c
}

// run shows events until the context ends.
func (w *watchCommand) run(ctx context.Context, c *ldlm.Client) error {
	p := w.printer(true)
	after := w.after
	for {
		var opts []ldlm.WatchOption
		if after != 0 {
			opts = append(opts, ldlm.After(after))
		}
		err := w.follow(ctx, c, p, opts)
		if !errors.Is(err, ldlm.ErrReset) {
			return err
		}
		w.note("events were missed: they came too fast, are too old, or the server was started anew")
		missed := document.Event{Time: document.Time(time.Now()), Type: document.Reset}
		if err := p.print(eventView(missed)); err != nil {
			return err
		}
		after = 0
	}
}

// follow shows the events of one subscription.
func (w *watchCommand) follow(ctx context.Context, c *ldlm.Client, p *printer, opts []ldlm.WatchOption) error {
	for e, err := range c.Watch(ctx, w.subscription(), opts...) {
		if err != nil {
			return err
		}
		if w.wants(e) {
			if err := p.print(eventView(eventDocument(e))); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// subscription is what the server is asked for: at least what is wanted.
func (w *watchCommand) subscription() string {
	if w.pattern != "" && !strings.Contains(string(w.pattern), "*") {
		return string(w.pattern)
	}
	return w.pattern.prefix() + "*"
}

func (w *watchCommand) wants(e ldlm.Event) bool {
	return w.types.has(eventWord(e.Type)) && (w.pattern == "" || e.Name != "" && w.pattern.matches(e.Name))
}

// eventTypes is a flag with types of events; none means all.
type eventTypes map[string]bool

func (t *eventTypes) has(word string) bool { return len(*t) == 0 || (*t)[word] }
func (t *eventTypes) Type() string         { return "types" }

func (t *eventTypes) String() string {
	var all []string
	for _, word := range eventWords() {
		if (*t)[word] {
			all = append(all, word)
		}
	}
	return strings.Join(all, ",")
}

func (t *eventTypes) Set(s string) error {
	if *t == nil {
		*t = eventTypes{}
	}
	known := eventTypes{}
	for _, word := range eventWords() {
		known[word] = true
	}
	for word := range strings.SplitSeq(s, ",") {
		word = strings.NewReplacer(" ", "_", "-", "_").Replace(strings.TrimSpace(word))
		if !known[word] {
			if near := config.Nearest(word, eventWords()); near != "" {
				return fmt.Errorf("there is no event %q; did you mean %s?", word, near)
			}
			return fmt.Errorf("there is no event %q; there are %s", word, strings.Join(eventWords(), ", "))
		}
		(*t)[word] = true
	}
	return nil
}

// eventWords are all types of events.
func eventWords() []string {
	var all []string
	for t := ldlm.EventQueued; t <= ldlm.EventLeaderChanged; t++ {
		all = append(all, eventWord(t))
	}
	return all
}

// eventView shows an event in a line. Columns have a width of their own, because
// what comes later is not known.
func eventView(e document.Event) view {
	v := view{doc: e}
	if e.Lock != "" {
		v.names = []string{e.Lock}
	}
	v.lines = func(wide, color bool) []string {
		const timeFormat, timeWidth, typeWidth, nameWidth = "15:04:05.000", 12, 16, 24
		at := time.Time(e.Time).Format(timeFormat)
		if wide {
			at = time.Time(e.Time).Format("2006-01-02T15:04:05.000Z07:00") + " " + string(e.Number)
		}
		row := []cell{{at, faint}, {wordText(e.Type), eventStyle(e.Type)}, {either(e.Lock, "-"), plain}, {eventText(e), plain}}
		return []string{rowLine(row, []int{timeWidth, typeWidth, nameWidth, 0}, color)}
	}
	return v
}
