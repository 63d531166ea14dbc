package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/document"
)

const electLong = `Lead, one at a time, and run a command meanwhile.

Candidates wait in a queue: the first leads until it ends, resigns or cannot be
heard of any more; then the next one does. With a command, ldlm runs it while it
leads, as "ldlm lock" does, and stops it before anybody else can lead; the exit
code is then 76, or, with --again, it stands as a candidate once more. If the
command ends by itself the lead is given up, and the exit code is the command's.

With --observe it does not lead, but says who does, now and whenever that changes.`

const electExample = `  ldlm elect scheduler -- ./scheduler             lead, and run it as the leader
  ldlm elect scheduler --again -- ./scheduler     and after a loss lead again
  ldlm elect scheduler --value 10.0.0.7:80 -- ./scheduler   say where the leader is found
  ldlm elect scheduler --observe                  who leads`

func newElect(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:     "elect NAME [flags] [-- COMMAND ARGS...]",
		Short:   "Lead while a command runs, or say who leads",
		Long:    electLong,
		Example: electExample,
	}
	h := addHolding(p, c)
	f, o := c.Flags(), &h.holdingOptions
	o.takesOne = true
	f.StringVar(&o.value, "value", "", "`TEXT` that others find at the leader, such as an address")
	f.BoolVar(&o.again, "again", false, "stand as a candidate again after the lead was lost")
	f.BoolVar(&o.observe, "observe", false, "say who leads, and whenever that changes")
	return c
}

// observeLeaders prints who leads until somebody ends it.
func (h *holder) observeLeaders(ctx context.Context, client *ldlm.Client) error {
	ctx, cancel := context.WithCancel(ctx)
	ends := &leaderEnds{reasons: map[uint64]ldlm.EndReason{}, news: make(chan end)}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		ends.watch(ctx, client, h.names[0])
	}()
	defer func() {
		cancel()
		<-watched
	}()
	var before ldlm.Holder
	var seen time.Time // when before was seen, and had the age that it says
	for leader, err := range client.Election(h.names[0]).Observe(ctx) {
		if err != nil {
			return err
		}
		now := time.Now()
		before.Age += now.Sub(seen)
		if err := h.printLeader(now, leader, before, ends.why(ctx, before.Token)); err != nil {
			return err
		}
		before, seen = leader, now
	}
	return ctx.Err()
}

// A leaderChange is a line of --observe as JSON.
type leaderChange struct {
	Time     document.Time    `json:"time"`
	Type     string           `json:"type"`
	Election string           `json:"election"`
	Leader   *document.Holder `json:"leader,omitempty"`
	// Before is who led before, and Ended why that is over.
	Before *document.Holder `json:"before,omitempty"`
	Ended  string           `json:"ended,omitempty"`
}

// printLeader prints a line: who leads as of now, and what became of who did before.
func (h *holder) printLeader(now time.Time, leader, before ldlm.Holder, why ldlm.EndReason) error {
	if h.output == "json" {
		change := leaderChange{Time: document.Time(now), Type: "leader", Election: h.names[0]}
		if leader.Token != 0 {
			d := holderDocument(leader, now)
			change.Leader = &d
		}
		if before.Token != 0 {
			d := holderDocument(before, now)
			change.Before, change.Ended = &d, reasonWord(why)
		}
		line, err := document.Append(nil, change)
		if err == nil {
			_, err = h.p.Stdout.Write(append(line, '\n'))
		}
		return err
	}
	text := "nobody leads"
	if leader.Token != 0 {
		text = fmt.Sprintf("leader %s token %d", leaderName(leader), leader.Token)
	}
	if before.Token != 0 {
		text += fmt.Sprintf(" (%s %s)", leaderName(before), fate(why))
	}
	_, err := fmt.Fprintf(h.p.Stdout, "%s %s\n", now.Format(time.TimeOnly), text)
	return err
}

// leaderName is who leads, without the program, which is the same for all.
func leaderName(h ldlm.Holder) string {
	c := h.Client
	c.Program, c.PID = "", 0
	return clientName(c)
}

// fate is what became of a leader.
func fate(r ldlm.EndReason) string {
	switch r {
	case ldlm.ReasonReleased:
		return "resigned"
	case ldlm.ReasonExpired, ldlm.ReasonSessionExpired:
		return "lost its lease"
	case ldlm.ReasonSessionClosed:
		return "left"
	case ldlm.ReasonForced:
		return "was removed by an administrator"
	default:
		return "leads no more"
	}
}

// leaderEnds remembers why leaders ended. Its map belongs to who asks why.
type leaderEnds struct {
	reasons map[uint64]ldlm.EndReason
	news    chan end
}

type end struct {
	token  uint64
	reason ldlm.EndReason
}

// watch hears of ends until ctx ends, or as long as that can be.
func (l *leaderEnds) watch(ctx context.Context, client *ldlm.Client, name string) {
	for {
		for e, err := range client.Watch(ctx, name) {
			if err != nil {
				if !errors.Is(err, ldlm.ErrReset) {
					return
				}
				break
			}
			if e.Token == 0 || e.Reason == ldlm.ReasonUnknown && e.Type != ldlm.EventReleased {
				continue
			}
			reason := e.Reason
			if e.Type == ldlm.EventReleased {
				reason = ldlm.ReasonReleased
			}
			select {
			case l.news <- end{e.Token, reason}:
			case <-ctx.Done():
				return
			}
		}
	}
}

// endPatience bounds how long the reason may come after the fact.
const endPatience = 300 * time.Millisecond

// why returns why a leader ended, as far as that is known by now.
func (l *leaderEnds) why(ctx context.Context, token uint64) ldlm.EndReason {
	t := time.NewTimer(endPatience)
	defer t.Stop()
	for token != 0 {
		if reason, ok := l.reasons[token]; ok {
			clear(l.reasons)
			return reason
		}
		select {
		case e := <-l.news:
			l.reasons[e.token] = e.reason
		case <-t.C:
			return ldlm.ReasonUnknown
		case <-ctx.Done():
			return ldlm.ReasonUnknown
		}
	}
	return ldlm.ReasonUnknown
}
