package lock

// pageLen is how many rows a page of an arena has: small enough that an empty
// table is small, large enough that pages hardly matter to the collector.
const pageLen = 128

// arena keeps rows of one kind, named by small numbers instead of pointers:
// that halves the size of links and leaves the garbage collector nothing to
// follow. A row stays where it is while it lives, so a *T is good until the row
// is freed. Row 0 is never used; the id 0 means "none".
type arena[ID ~uint32, T any] struct {
	pages []*[pageLen]T
	free  []ID
	next  ID // the lowest id that was never used
}

func newArena[ID ~uint32, T any]() arena[ID, T] { return arena[ID, T]{next: 1} }

// at returns the row of an id that alloc returned.
func (a *arena[ID, T]) at(id ID) *T { return &a.pages[id/pageLen][id%pageLen] }

// alloc returns a zeroed row.
func (a *arena[ID, T]) alloc() (ID, *T) {
	var id ID
	if n := len(a.free); n > 0 {
		id = a.free[n-1]
		a.free = a.free[:n-1]
	} else {
		id = a.next
		a.next++
		if int(id/pageLen) == len(a.pages) {
			a.pages = append(a.pages, new([pageLen]T))
		}
	}
	return id, a.at(id)
}

// release zeroes a row and keeps its id for the next alloc.
func (a *arena[ID, T]) release(id ID) {
	var zero T
	*a.at(id) = zero
	a.free = append(a.free, id)
}

// len counts the rows in use.
func (a *arena[ID, T]) len() int { return int(a.next) - 1 - len(a.free) }

// end is the id after the last one that was ever used; for id := 1; id < end()
// walks all rows, freed ones included.
func (a *arena[ID, T]) end() ID { return a.next }
