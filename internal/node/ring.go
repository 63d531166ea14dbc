package node

import (
	"sync"
	"time"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// Event is what happened in the table, with the wall clock of this process when
// it was applied here.
type Event struct {
	lock.Event
	// Wall is for people: it differs from member to member.
	Wall time.Time
}

// ring keeps the newest events, numbered as the table does. Apply writes, the
// herald and watchers that catch up read by number; a reader that is too slow
// finds its events overwritten.
type ring struct {
	more chan struct{} // room for one; something was added while wanted

	mu     sync.Mutex // held for copying events
	pages  [][]logged // made when first used
	first  uint64     // number of the oldest event, and
	next   uint64     // of the next one; 0 while no number is known
	origin uint64     // number of the first event since next was 0
	wanted bool       // somebody listens to more
	lives  int        // how often the order of events was broken off
	most   int        // how many pages there are once somebody has listened
}

// logged is an event in the ring. The time is kept as a number, so that the
// collector has less to follow.
type logged struct {
	event lock.Event
	wall  int64 // microseconds of Unix time
}

const ringPage = 256

// unheardPages are kept while nobody has ever listened here: then nobody can come
// back, but for a watcher of another member, or somebody who has listed first.
const unheardPages = 4

func newRing(size int) *ring {
	most := (max(size, 1024) + ringPage - 1) / ringPage
	return &ring{
		more: make(chan struct{}, 1), pages: make([][]logged, min(most, unheardPages)), most: most,
		origin: 1, first: 1, next: 1,
	}
}

func (r *ring) size() uint64 { return uint64(len(r.pages)) * ringPage }

func (r *ring) at(number uint64) *logged {
	i := number % r.size()
	return &r.pages[i/ringPage][i%ringPage]
}

// add appends events; of more than fit, the newest.
func (r *ring) add(events []lock.Event, wall time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == 0 {
		r.origin, r.first, r.next = events[0].Number, events[0].Number, events[0].Number
	}
	if n := uint64(len(events)); n > r.size() {
		events = events[n-r.size():]
		r.first, r.next = events[0].Number, events[0].Number
	}
	us := wall.UnixMicro()
	for i := range events {
		r.put(r.next, &logged{events[i], us})
		r.next++
	}
	if r.next-r.first > r.size() {
		r.first = r.next - r.size()
	}
	if r.wanted {
		signal(r.more)
	}
}

// put puts an event where its number belongs.
func (r *ring) put(number uint64, e *logged) {
	if p := &r.pages[number%r.size()/ringPage]; *p == nil {
		*p = make([]logged, ringPage)
	}
	*r.at(number) = *e
}

// breakOff forgets everything: the table was replaced, and the numbers go on
// somewhere else.
func (r *ring) breakOff() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.origin, r.first, r.next = 0, 0, 0
	r.lives++
	clear(r.pages)
	signal(r.more)
}

// read appends up to most events from a number on to buf; false if they are not
// all there any more.
func (r *ring) read(buf []logged, from uint64, most int) ([]logged, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if from < r.first || from > r.next {
		return buf, false
	}
	for n := from; n < r.next && most > 0; n++ {
		buf = append(buf, *r.at(n))
		most--
	}
	return buf, true
}

// newest calls each with the newest events of a lock, the newest first, until it
// returns false. The events must not be kept.
func (r *ring) newest(name string, each func(*logged) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n := r.next; n > r.first; n-- {
		if e := r.at(n - 1); e.event.Name == name && !each(e) {
			return
		}
	}
}

// bounds returns the number of the oldest event and of the next one.
func (r *ring) bounds() (first, next uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.first, r.next
}

// life returns how often the order was broken off, and the number with which
// the present one began.
func (r *ring) life() (life int, origin uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lives, r.origin
}

// want says whether anybody listens to more, and returns the number of the next event.
func (r *ring) want(listen bool) (next uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wanted = listen; listen && len(r.pages) < r.most {
		r.widen()
	}
	return r.next
}

// widen gives the ring its full size.
func (r *ring) widen() {
	kept := make([]logged, 0, r.next-r.first)
	for n := r.first; n < r.next; n++ {
		kept = append(kept, *r.at(n))
	}
	r.pages = make([][]logged, r.most)
	for i := range kept {
		r.put(r.first+uint64(i), &kept[i])
	}
}
