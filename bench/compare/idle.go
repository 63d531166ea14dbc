package compare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ldlm-io/ldlm/internal/load"
)

// Marks are locks that show in the log when the idle time has begun, and ended.
const (
	markBegin = "mark/begin"
	markEnd   = "mark/end"
)

// settle is how long after they were opened sessions are left alone before they are
// taken to be idle: those that began at another member go on to the leader meanwhile.
const settle = 15 * time.Second

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// dialers open so many sessions at a time.
const dialers = 64

// idle counts what sessions that do nothing, each with a lock, cost the log: entries
// that hold more than what members do by themselves.
func (k trioKind) idle() contender {
	return contender{name: k.name, measure: func(ctx context.Context, l *lab) (_ figures, err error) {
		t, err := l.startTrio(ctx, k)
		if err != nil {
			return nil, err
		}
		defer t.kill()
		server, err := t.server(ctx)
		if err != nil {
			return nil, err
		}
		all, err := t.open(ctx, l.sizes.Sessions)
		defer func() { _ = closeAll(all) }() // how they end matters no more
		if err != nil {
			return nil, err
		}
		if err := sleep(ctx, min(settle, l.sizes.Idle)); err != nil {
			return nil, err
		}
		used, err := t.mark(ctx, server, all[0], markBegin)
		if err != nil {
			return nil, err
		}
		if err := sleep(ctx, l.sizes.Idle); err != nil {
			return nil, err
		}
		usedAll, err := t.mark(ctx, server, all[0], markEnd)
		if err != nil {
			return nil, err
		}
		leader, err := t.leader(ctx)
		if err != nil {
			return nil, err
		}
		_ = closeAll(all)
		all = nil
		t.kill()
		own, members, err := countEntries(ctx, l, leader)
		return figures{entries: float64(own), memberEntries: float64(members), serverSeconds: (usedAll - used).Seconds()}, err
	}}
}

// mark takes and releases a lock, and returns what the members have used of the
// processor until then.
func (t *trio) mark(ctx context.Context, s *server, c load.Conn, name string) (time.Duration, error) {
	if err := pair(ctx, c, name); err != nil {
		return 0, err
	}
	return s.time()
}

// open opens so many sessions at the members in turn, which hold a lock each.
func (t *trio) open(ctx context.Context, sessions int) ([]load.Conn, error) {
	all := make([]load.Conn, sessions)
	var next atomic.Int64
	var tasks sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for range min(dialers, sessions) {
		tasks.Go(func() {
			for i := next.Add(1) - 1; i < int64(sessions) && ctx.Err() == nil; i = next.Add(1) - 1 {
				c, err := t.kind.dial(ctx, t.members[i%int64(len(t.members))].clients)
				if err == nil {
					all[i] = stubborn{Conn: c, refused: new(atomic.Int64)}
					_, err = all[i].Lock(ctx, fmt.Sprintf("%s%08d", namePrefix, i))
				}
				if err != nil {
					mu.Lock()
					failed = errors.Join(failed, err)
					mu.Unlock()
					return
				}
			}
		})
	}
	tasks.Wait()
	all = slices.DeleteFunc(all, func(c load.Conn) bool { return c == nil })
	if failed == nil {
		failed = context.Cause(ctx)
	}
	return all, failed
}

// countEntries counts the entries between the marks in the log of a member that has
// ended: those of the members alone, and all others.
func countEntries(ctx context.Context, l *lab, m *member) (own, members int, err error) {
	out, err := run(ctx, l.ldlm, "dump", "--data-dir", m.dir, "-o", "json")
	if err != nil {
		return 0, 0, err
	}
	return betweenMarks(out)
}

// dumped is what a line of ldlm dump says of an entry.
type dumped struct {
	Kind     string `json:"kind"`
	Commands []struct {
		Command string `json:"command"`
		Fields  struct {
			Items []struct {
				Name string `json:"name"`
			} `json:"items"`
			Name string `json:"name"`
		} `json:"fields"`
	} `json:"commands"`
}

// betweenMarks counts what is between the first mark's release and the last one's
// acquire in a dump.
func betweenMarks(dump string) (own, members int, err error) {
	begun := false
	for line := range strings.Lines(dump) {
		var d dumped
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			return 0, 0, err
		}
		switch {
		case d.Kind != "batches":
		case d.acquires(markEnd) && begun:
			return own, members, nil
		case d.releases(markBegin):
			begun = true
		case begun && d.ofMembers():
			members++
		case begun:
			own++
		}
	}
	return 0, 0, errors.New("the log does not have both marks")
}

func (d *dumped) acquires(name string) bool {
	for i := range d.Commands {
		for _, item := range d.Commands[i].Fields.Items {
			if item.Name == name {
				return true
			}
		}
	}
	return false
}

func (d *dumped) releases(name string) bool {
	for i := range d.Commands {
		if d.Commands[i].Command == "release" && d.Commands[i].Fields.Name == name {
			return true
		}
	}
	return false
}

// ofMembers reports whether an entry has what members do without any session and nothing
// else: they give signs of life, and compare what they have.
func (d *dumped) ofMembers() bool {
	for i := range d.Commands {
		switch d.Commands[i].Command {
		case "beat", "mark", "join", "set_settings":
		default:
			return false
		}
	}
	return len(d.Commands) > 0
}
