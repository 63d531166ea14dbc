package history

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// Verdict is what came out.
type Verdict struct {
	// Checked counts the operations whose outcome is known: grants, refusals, waits
	// that ended, confirmed releases and reads. Unknown counts requests without one.
	Checked, Unknown int
	// Locks and Grants count what there was.
	Locks, Grants int
	// Waits counts the grants whose place in the queue was known.
	Waits int
	// Excused counts the refusals and Unbound the holds that could not be judged:
	// somebody may have held the lock unseen; nobody knows when it ended.
	Excused, Unbound int
	// Violations are broken promises; none is what one wants.
	Violations []string
}

// Check judges a history. Pictures of locks whose history no order explains are written
// into dir. A lock whose history cannot be decided within limit is a violation too.
func Check(records []Record, dir string, limit time.Duration) (Verdict, error) {
	var v Verdict
	locks, err := sortOut(records)
	if err != nil {
		return v, err
	}
	v.Locks = len(locks)
	for _, l := range locks {
		v.count(l)
	}
	v.Violations = append(v.Violations, tokensGrow(locks)...)
	known := knownTokens(locks)
	var mu sync.Mutex // guards v
	var workers sync.WaitGroup
	next := make(chan *log)
	const parallel = 2
	for range parallel {
		workers.Go(func() {
			for l := range next {
				found, excused := l.check(known, dir, limit)
				mu.Lock()
				v.Excused += excused
				v.Violations = append(v.Violations, found...)
				mu.Unlock()
			}
		})
	}
	for _, l := range locks {
		next <- l
	}
	close(next)
	workers.Wait()
	return v, nil
}

// count adds what there is of a lock.
func (v *Verdict) count(l *log) {
	v.Checked += len(l.reads)
	for _, q := range l.requests {
		if q.answer == Unknown {
			v.Unknown++
			continue
		}
		v.Checked++
		if q.answer != Granted {
			continue
		}
		v.Grants++
		if q.queued != forever && !q.ghost {
			v.Waits++
		}
		if q.released {
			v.Checked++
		} else {
			v.Unbound++
		}
	}
}

// knownTokens are all that clients were told of.
func knownTokens(locks []*log) map[uint64]bool {
	known := map[uint64]bool{}
	for _, l := range locks {
		for _, q := range l.requests {
			known[q.token] = true
		}
	}
	delete(known, 0)
	return known
}

// tokensGrow finds grants, of any locks, whose token is not greater than that of a
// grant that was known before they were asked for.
func tokensGrow(locks []*log) (found []string) {
	var asked, told []*request
	for _, l := range locks {
		for _, q := range l.requests {
			if q.token != 0 {
				asked = append(asked, q)
			}
		}
	}
	told = slices.Clone(asked)
	slices.SortFunc(asked, func(a, b *request) int { return cmp.Compare(a.At, b.At) })
	slices.SortFunc(told, func(a, b *request) int { return cmp.Compare(a.told, b.told) })
	var newest *request
	for _, q := range asked {
		for len(told) > 0 && told[0].told < q.At {
			if newest == nil || told[0].token > newest.token {
				newest = told[0]
			}
			told = told[1:]
		}
		if newest != nil && q.token <= newest.token {
			found = append(found, fmt.Sprintf("tokens: %s is granted with %d after %s was with %d", q.Lock, q.token, newest.Lock, newest.token))
		}
	}
	return found
}

// check judges one lock.
func (l *log) check(known map[uint64]bool, dir string, limit time.Duration) (found []string, excused int) {
	found = append(l.believers(), l.overtaken()...)
	operations := l.operations(known)
	for _, o := range operations {
		if o.Input.(*operation).excused {
			excused++
		}
	}
	result := porcupine.CheckOperationsTimeout(model(), operations, limit)
	if result == porcupine.Ok {
		return found, excused
	}
	text := fmt.Sprintf("%s: no order explains what clients saw", l.name)
	if result == porcupine.Unknown {
		text = fmt.Sprintf("%s: not decided within %v whether an order explains what clients saw", l.name, limit)
	}
	if picture, err := l.draw(operations, dir, limit); err != nil {
		text += fmt.Sprintf(" (no picture: %v)", err)
	} else {
		text += ", see " + picture
	}
	return append(found, text), excused
}

// draw writes a picture of how far the history can be explained.
func (l *log) draw(operations []porcupine.Operation, dir string, limit time.Duration) (string, error) {
	name := filepath.Join(dir, strings.ReplaceAll(l.name, "/", "-")+".html")
	f, err := os.Create(name)
	if err != nil {
		return "", err
	}
	_, info := porcupine.CheckOperationsVerbose(model(), operations, limit)
	err = porcupine.Visualize(model(), info, f)
	return name, cmp.Or(err, f.Close())
}

// operations is the history as the model wants it.
func (l *log) operations(known map[uint64]bool) []porcupine.Operation {
	var all []porcupine.Operation
	add := func(client int, call, told int64, o *operation) {
		all = append(all, porcupine.Operation{ClientId: client, Call: call, Return: told, Input: o})
	}
	for _, q := range l.requests {
		switch q.answer {
		case Granted:
			add(q.Client, q.At, q.told, &operation{what: grants, hold: q.ID, shared: q.Shared, size: q.size(), token: q.token})
			add(q.Client, q.sure, q.endTold, &operation{what: ends, hold: q.ID})
		case Refused:
			haunted := slices.ContainsFunc(l.requests, func(other *request) bool { return other.haunts(q.told) })
			add(q.Client, q.At, q.told, &operation{what: refuses, hold: q.ID, shared: q.Shared, size: q.size(), excused: haunted})
		default:
		}
	}
	for _, r := range l.reads {
		shown := slices.DeleteFunc(slices.Clone(r.Tokens), func(t uint64) bool { return !known[t] })
		slices.Sort(shown)
		add(r.Client, r.Call, r.At, &operation{what: reads, tokens: shown})
	}
	return all
}

// overtaken finds requests that were granted before others that stood in the queue
// already when they were asked for.
func (l *log) overtaken() (found []string) {
	var waiters, asked []*request
	for _, q := range l.requests {
		if q.token == 0 {
			continue
		}
		asked = append(asked, q)
		if q.queued != forever && !q.ghost {
			waiters = append(waiters, q)
		}
	}
	slices.SortFunc(waiters, func(a, b *request) int { return cmp.Compare(a.queued, b.queued) })
	var newest *request
	for _, q := range asked {
		for len(waiters) > 0 && waiters[0].queued < q.At {
			if newest == nil || waiters[0].token > newest.token {
				newest = waiters[0]
			}
			waiters = waiters[1:]
		}
		if newest != nil && q.token < newest.token {
			found = append(found, fmt.Sprintf("%s: request %d with token %d overtook request %d with token %d, which stood in the queue already",
				l.name, q.ID, q.token, newest.ID, newest.token))
		}
	}
	return found
}

// moment is when somebody begins to be sure of a hold, or is it for the last time.
type moment struct {
	at    int64
	by    *request
	leave bool
}

// believers finds moments at which more were sure to hold the lock than may. The model
// finds them too; here they have names.
func (l *log) believers() (found []string) {
	var all []moment
	for _, q := range l.requests {
		if q.answer == Granted && q.sure > q.told {
			all = append(all, moment{q.told, q, false}, moment{q.sure, q, true})
		}
	}
	slices.SortFunc(all, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
	var now []*request
	for _, m := range all {
		if m.leave {
			now = slices.DeleteFunc(now, func(q *request) bool { return q == m.by })
			continue
		}
		now = append(now, m.by)
		if tooMany(now) {
			found = append(found, fmt.Sprintf("%s: too many believe to hold it at %d: %s", l.name, m.at, names(now)))
		}
	}
	return found
}

// tooMany reports whether holders cannot hold one lock together.
func tooMany(holders []*request) bool {
	alone, shared := 0, 0
	for _, q := range holders {
		if q.Shared {
			shared++
		} else {
			alone++
		}
	}
	return alone > holders[0].size() || shared > 0 && alone > 0
}

func names(holders []*request) string {
	texts := make([]string, 0, len(holders))
	for _, q := range holders {
		texts = append(texts, fmt.Sprintf("request %d of client %d with token %d, sure from %d to %d", q.ID, q.Client, q.token, q.told, q.sure))
	}
	return strings.Join(texts, "; ")
}
