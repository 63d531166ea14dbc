package ldlm

import "math/bits"

// slots are the slots of a session: each carries one call at a time, and the
// number of the newest call that it carried. The lowest free one is used first,
// so that servers need not remember more of them than calls were ever under
// way at once.
//
// A slot whose outcome is not known stays occupied, even if nobody waits for it
// any more: its number may be used for nothing else.
type slots struct {
	max        int // slots that may be used
	maxWaiting int // of these for calls that may wait

	taken   []uint64 // a bit for each slot
	low     int      // no word of taken before this one has a free bit
	seqs    []uint64 // newest seq of each slot
	calls   []*call  // the call under way in each slot
	busy    int      // calls under way
	waiting int      // of these, calls that may wait
}

// take occupies the lowest free slot for a call and numbers it; false if there
// is none for its kind.
func (t *slots) take(ca *call) bool {
	if t.busy >= t.max || ca.waits && t.waiting >= t.maxWaiting {
		return false
	}
	for t.low < len(t.taken) && t.taken[t.low] == ^uint64(0) {
		t.low++
	}
	if t.low == len(t.taken) {
		t.taken = append(t.taken, 0)
	}
	bit := bits.TrailingZeros64(^t.taken[t.low])
	slot := t.low*64 + bit
	t.taken[t.low] |= 1 << bit
	for len(t.seqs) <= slot {
		t.seqs, t.calls = append(t.seqs, 0), append(t.calls, nil)
	}
	t.seqs[slot]++
	t.calls[slot] = ca
	t.busy++
	if ca.waits {
		t.waiting++
	}
	ca.op.Slot, ca.op.Seq = uint32(slot), t.seqs[slot]
	return true
}

// find returns the call under way that has this slot and seq, or nil.
func (t *slots) find(slot uint32, seq uint64) *call {
	if uint64(slot) >= uint64(len(t.calls)) || t.seqs[slot] != seq {
		return nil
	}
	return t.calls[slot]
}

// free gives the slot of a call back whose outcome is known.
func (t *slots) free(ca *call) {
	slot := int(ca.op.GetSlot())
	t.calls[slot] = nil
	t.taken[slot/64] &^= 1 << (slot % 64)
	t.low = min(t.low, slot/64)
	t.busy--
	if ca.waits {
		t.waiting--
	}
}

// underWay returns the calls under way, by slot.
func (t *slots) underWay() []*call {
	all := make([]*call, 0, t.busy)
	for _, ca := range t.calls {
		if ca != nil {
			all = append(all, ca)
		}
	}
	return all
}
