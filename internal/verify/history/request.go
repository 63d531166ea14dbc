package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// forever is when that ends of which no end is known.
const forever = math.MaxInt64

// request is all that is known of one request for a lock.
type request struct {
	Record // the Begin
	answer Type
	token  uint64
	told   int64 // when the answer came
	ghost  bool
	queued int64 // since when it was known to stand in the queue; forever if never
	// sure is when the holder was last sure of its hold. It ends between then, or
	// endCall if its release was confirmed, and endTold.
	sure, endCall, endTold int64
	released               bool
}

// log is the history of one lock.
type log struct {
	name     string
	requests []*request
	reads    []Record
}

// sortOut puts records in order by lock.
func sortOut(records []Record) ([]*log, error) {
	locks := map[string]*log{}
	requests := map[uint64]*request{}
	of := func(name string) *log {
		if locks[name] == nil {
			locks[name] = &log{name: name}
		}
		return locks[name]
	}
	for i := range records {
		r := &records[i]
		switch r.Type {
		case Begin:
			q := &request{Record: *r, answer: Unknown, told: forever, endTold: forever, queued: forever}
			requests[r.ID] = q
			l := of(r.Lock)
			l.requests = append(l.requests, q)
		case Read:
			l := of(r.Lock)
			l.reads = append(l.reads, *r)
		default:
			q := requests[r.ID]
			if q == nil {
				return nil, fmt.Errorf("record %q of a request %d that did not begin", r.Type, r.ID)
			}
			q.add(r)
		}
	}
	all := make([]*log, 0, len(locks))
	for _, l := range locks {
		slices.SortFunc(l.requests, func(a, b *request) int { return cmp.Compare(a.At, b.At) })
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *log) int { return cmp.Compare(a.name, b.name) })
	return all, nil
}

// add takes a later record of the request in.
func (q *request) add(r *Record) {
	switch r.Type {
	case Granted:
		q.answer, q.told, q.token, q.sure = r.Type, r.At, r.Token, r.At
	case Refused, None, Unknown:
		q.answer, q.told = r.Type, r.At
	case Place:
		q.queued = min(q.queued, r.At)
	case Ghost:
		q.ghost = true
	case Sure:
		q.sure = max(q.sure, r.Call)
	case End:
		q.endCall = r.Call
		if r.At != 0 {
			q.released, q.endTold = true, r.At
			q.sure = max(q.sure, r.Call) // it was there to be released
		}
	case Begin, Read:
	}
}

// size is how many may hold the lock.
func (q *request) size() int { return max(q.Size, 1) }

// haunts reports whether the request may have held the lock unseen, at a time before t.
func (q *request) haunts(t int64) bool {
	return (q.ghost || q.answer == Unknown) && q.At < t
}
