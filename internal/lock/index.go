package lock

import "hash/maphash"

// nameIndex finds locks by name. It keeps ids and hashes beside each other, and
// leaves the names to the rows: 10 to 20 bytes for a lock, where a map of strings
// takes more than twice as much.
//
// Names come from clients, so the hash has a key of its own in each process, or
// somebody could choose names that collide. Nothing that leaves the table depends
// on it: there is no walking an index.
//
// It consists of many small parts that grow each for itself, so that no single
// lock pays for moving all of them.
type nameIndex struct {
	seed  maphash.Seed
	parts [indexParts]indexPart
	count int
}

// indexParts is how many parts there are: few enough that an empty table is
// small, and with ten million locks a part still grows in less than a
// millisecond.
const indexParts = 256

// indexPart is a table with open addressing and linear probing. An entry stands
// at the home of its hash or after it, with no empty one between.
type indexPart struct {
	entries []indexEntry
	used    int
}

// indexEntry is empty if its id is 0.
type indexEntry struct {
	hash uint32
	id   lockID
}

func newNameIndex() nameIndex { return nameIndex{seed: maphash.MakeSeed()} }

// part returns where a name belongs, and the rest of its hash.
func (x *nameIndex) part(name string) (*indexPart, uint32) {
	h := maphash.String(x.seed, name)
	return &x.parts[h>>32%indexParts], uint32(h)
}

// home is where a hash belongs. It grows with the hash.
func (p *indexPart) home(hash uint32) int {
	return int(uint64(hash) * uint64(len(p.entries)) >> 32)
}

func (p *indexPart) after(i int) int {
	if i++; i < len(p.entries) {
		return i
	}
	return 0
}

// findLock returns the lock of a name, 0 if there is none.
func (t *Table) findLock(name string) lockID {
	p, hash := t.names.part(name)
	if p.used == 0 {
		return 0
	}
	for i := p.home(hash); ; i = p.after(i) {
		e := p.entries[i]
		if e.id == 0 || e.hash == hash && t.locks.at(e.id).name == name {
			return e.id
		}
	}
}

// add enters a name that is not there.
func (x *nameIndex) add(name string, id lockID) {
	p, hash := x.part(name)
	if 5*(p.used+1) > 4*len(p.entries) {
		p.grow()
	}
	p.put(indexEntry{hash, id})
	p.used++
	x.count++
}

func (p *indexPart) put(e indexEntry) {
	i := p.home(e.hash)
	for p.entries[i].id != 0 {
		i = p.after(i)
	}
	p.entries[i] = e
}

// grow makes room. It takes what the allocator would round up to.
func (p *indexPart) grow() {
	old := p.entries
	p.entries = append([]indexEntry(nil), make([]indexEntry, max(8, 2*len(old)))...)
	p.entries = p.entries[:cap(p.entries)]
	for _, e := range old {
		if e.id != 0 {
			p.put(e)
		}
	}
}

// remove takes a name out.
func (x *nameIndex) remove(name string, id lockID) {
	p, hash := x.part(name)
	p.take(hash, id)
	x.count--
}

// take takes an entry out, and moves those up that stand behind it because it
// was in their way. A part that has become nearly empty becomes small.
func (p *indexPart) take(hash uint32, id lockID) {
	gap := p.home(hash)
	for p.entries[gap].id != id {
		gap = p.after(gap)
	}
	for i := p.after(gap); p.entries[i].id != 0; i = p.after(i) {
		if !between(gap, p.home(p.entries[i].hash), i) {
			p.entries[gap] = p.entries[i]
			gap = i
		}
	}
	p.entries[gap] = indexEntry{}
	p.used--
	if len(p.entries) > 64 && p.used < len(p.entries)/8 {
		p.shrink()
	}
}

// between reports whether home lies behind gap, up to and with i, going round.
func between(gap, home, i int) bool {
	if gap < i {
		return gap < home && home <= i
	}
	return gap < home || home <= i
}

func (p *indexPart) shrink() {
	old := p.entries
	p.entries = make([]indexEntry, max(8, 2*p.used))
	for _, e := range old {
		if e.id != 0 {
			p.put(e)
		}
	}
}
