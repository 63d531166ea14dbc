package lock

// slotState says what became of a slot's newest request.
type slotState uint8

const (
	slotEmpty slotState = iota
	// slotWaiting: ref is the request.
	slotWaiting
	// slotGranted: ref is a hold of the grant, 0 once all of them have ended.
	slotGranted
	// slotDone: it ended with code; field says what was refused.
	slotDone
	// slotBarred: it was cancelled before it came; whatever comes is refused.
	slotBarred
)

// slot remembers the newest request of a slot, so that a retry finds its place
// or its outcome. 32 bytes.
type slot struct {
	seq    uint64
	digest uint64 // of what was asked
	token  Token  // of the grant
	ref    uint32
	state  slotState
	code   Code
	reason EndReason // why the grant ended
	field  Field
}

const slotsPerChunk = 16

// mostSlots is the most that MaxSlots can be.
const mostSlots = 1 << 16

// slotChunk is the unit in which slots are allocated and saved for a snapshot.
type slotChunk struct {
	epoch uint32
	slots [slotsPerChunk]slot
}

// namedSlot is a slot with a name that the client chose.
type namedSlot struct {
	slot
	attempt uint64
	// endNo orders the ended ones; 0 while it waits or holds.
	endNo uint64
	epoch uint32
}

// slotTable has the slots of a session: numbered ones in chunks, named ones in
// a map (read by key only, so its order never matters).
type slotTable struct {
	chunks []*slotChunk
	named  map[string]*namedSlot
	// ended are the names of requests that neither wait nor hold any more, in
	// the order of their ends.
	ended []string
}

// get returns a numbered slot that was used before, or nil.
func (st *slotTable) get(n uint32) *slot {
	c := n / slotsPerChunk
	if int(c) >= len(st.chunks) || st.chunks[c] == nil {
		return nil
	}
	return &st.chunks[c].slots[n%slotsPerChunk]
}

// chunk returns the chunk of a numbered slot, and whether it had to be made.
func (st *slotTable) chunk(n uint32) (ch *slotChunk, made bool) {
	c := int(n / slotsPerChunk)
	for len(st.chunks) <= c {
		st.chunks = append(st.chunks, nil)
	}
	if st.chunks[c] == nil {
		st.chunks[c], made = new(slotChunk), true
	}
	return st.chunks[c], made
}
