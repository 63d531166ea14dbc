package lock

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestNamesAreFound enters and removes locks at random, in waves that make the
// index large and small again, and compares with a map.
func TestNamesAreFound(t *testing.T) {
	table := New()
	want := map[string]lockID{}
	r := rand.New(rand.NewPCG(1, 2))
	const names = 20_000
	for i := range 400_000 {
		name := fmt.Sprint("lock-", r.IntN(names))
		filling := i/100_000%2 == 0
		id := table.findLock(name)
		if id != want[name] {
			t.Fatalf("step %d: %s is lock %d, want %d", i, name, id, want[name])
		}
		switch {
		case id == 0 && filling:
			want[name] = table.makeLock(name, 1)
		case id != 0 && !filling:
			table.forgetLock(id)
			delete(want, name)
		}
	}
	if len(want) == 0 || table.names.count != len(want) {
		t.Fatalf("%d names, want %d and more than none", table.names.count, len(want))
	}
	for i := range names {
		name := fmt.Sprint("lock-", i)
		if id := table.findLock(name); id != want[name] {
			t.Errorf("%s is lock %d, want %d", name, id, want[name])
		}
	}
}

// TestNamesThatCollide has all names in one part, with few different hashes.
func TestNamesThatCollide(t *testing.T) {
	table := New()
	p := &table.names.parts[0]
	hashes := []uint32{0, 1, 1 << 31, 1<<32 - 2, 1<<32 - 1}
	var ids []lockID
	for i := range 100 {
		if 5*(p.used+1) > 4*len(p.entries) {
			p.grow()
		}
		id := lockID(i + 1)
		p.put(indexEntry{hashes[i%len(hashes)], id})
		p.used++
		ids = append(ids, id)
	}
	rand.New(rand.NewPCG(3, 4)).Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	for n, id := range ids {
		p.take(hashes[int(id-1)%len(hashes)], id)
		for _, other := range ids[n+1:] {
			if !reachable(p, hashes[int(other-1)%len(hashes)], other) {
				t.Fatalf("after %d removals lock %d is not found", n+1, other)
			}
		}
	}
	if p.used != 0 {
		t.Errorf("%d entries are left", p.used)
	}
}

func reachable(p *indexPart, hash uint32, id lockID) bool {
	for i := p.home(hash); p.entries[i].id != 0; i = p.after(i) {
		if p.entries[i] == (indexEntry{hash, id}) {
			return true
		}
	}
	return false
}

func TestIndexBecomesSmall(t *testing.T) {
	table := New()
	var ids []lockID
	for i := range 50_000 {
		ids = append(ids, table.makeLock(fmt.Sprint("lock-", i), 1))
	}
	large := indexRoom(table)
	for _, id := range ids {
		table.forgetLock(id)
	}
	if small := indexRoom(table); large < 50_000 || small > indexParts*64 {
		t.Errorf("room for %d entries, then for %d; want at least 50,000, then at most %d", large, small, indexParts*64)
	}
}

func indexRoom(t *Table) int {
	room := 0
	for i := range t.names.parts {
		room += len(t.names.parts[i].entries)
	}
	return room
}
