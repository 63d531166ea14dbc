package lock

// Ids of rows. They are places in memory, not names: they say nothing outside
// this process and are not part of the replicated state.
type (
	lockID    uint32
	holdID    uint32
	sessionID uint32
	requestID uint32
	placeID   uint32
	memberID  uint32
	idleID    uint32
)

// ledgerMark is what the ledger keeps at each row: see ledger.go.
type ledgerMark struct {
	// epoch is the snapshot that the row was last saved for, or born during.
	epoch uint32
	// live tells a row in use from a freed one.
	live bool
	// dirty says that the row's hash is taken out of the sum until settle.
	dirty bool
	// queued says that a lock is on the work list of the step.
	queued bool
}

// lockRow is a lock. Invariants, verified by Check:
//
//  1. held is the sum of permits over its exclusive holds and their delays.
//  2. If any of its holds, or of their delays, is a shared one then all are, and
//     size is 1: so held tells which kind they are.
//  3. It has an idle row, and is in the idle list, if and only if it has neither
//     holds, delays nor waiters.
//  4. Its holds are in the order of tokens, its queue in the order of enqueue numbers.
//  5. When a step is over, the head of its queue is ready if and only if the
//     lock fits it, and no other place is.
type lockRow struct {
	name   string
	number uint64
	fence  Token

	size uint32
	held uint32

	firstHold, lastHold   holdID
	holds                 uint32
	firstPlace, lastPlace placeID
	waiting               uint32
	rest                  idleID // 0 if it is not idle
	ledgerMark
}

// shared counts the shared holds and their delays.
func (l *lockRow) shared() uint32 {
	if l.held > 0 {
		return 0
	}
	return l.holds
}

// idleRow is what only idle locks have. It is hashed and saved with its lock.
type idleRow struct {
	// touched and touchNo order the idle list.
	touched    Time
	touchNo    uint64
	prev, next lockID
}

func (l *lockRow) idle() bool { return l.holds == 0 && l.waiting == 0 }

// holdRow is a hold, or the lock delay that followed one.
type holdRow struct {
	key      Key
	token    Token
	since    Time
	deadline Time // of the lease, the revocation or the delay; 0 if none

	lock    lockID
	session sessionID // 0 for a delay
	permits uint32
	slot    uint32 // of the request, if named
	heap    int32  // place in the deadline heap + 1; 0: none

	prevInLock, nextInLock       holdID
	prevInSession, nextInSession holdID
	// sibling links the holds of one grant in a ring; itself if it is alone.
	sibling holdID

	mode  Mode
	flags holdFlags
	ledgerMark
}

type holdFlags uint8

const (
	// holdAtOnce: granted without waiting.
	holdAtOnce holdFlags = 1 << iota
	// holdDelivered: the client was, or could have been, told of the grant.
	holdDelivered
	// holdRevoked: ends by force at its deadline, unless released before.
	holdRevoked
	// holdDelay: the hold has ended; the row keeps its permits shut.
	holdDelay
	// holdNamed: it has a slot or request id.
	holdNamed
)

func (h *holdRow) is(f holdFlags) bool { return h.flags&f != 0 }

// holdExtra is what few holds have.
type holdExtra struct {
	lockDelay Duration
	note      *Note
	requestID string
}

// requestRow is a request that waits.
type requestRow struct {
	number   uint64 // enqueue number: the same in all its queues
	seq      uint64
	attach   uint64
	attempt  uint64
	id       string // request id
	key      Key
	since    Time
	deadline Time // 0: waits for ever
	lease    Duration
	delay    Duration
	note     *Note

	session    sessionID
	slot       uint32
	heap       int32
	places     uint32
	ready      uint32 // how many of its places are ready heads
	firstPlace placeID

	prevInSession, nextInSession requestID
	ledgerMark
}

// placeRow is a request's place in one queue. It is hashed and saved with its request.
type placeRow struct {
	lock          lockID
	request       requestID
	prev, next    placeID // in the queue
	nextInRequest placeID // in the order asked
	permits       uint32
	mode          Mode
	ready         bool // is a head that the lock fits
}

// sessionRow is a session. Row [Table.outside] stands for "no session".
type sessionRow struct {
	number   SessionNumber
	secret   SecretHash
	ttl      Duration
	attach   uint64 // number of the newest connection
	opened   Time
	deadline Time // while detached, or living by calls; else 0
	info     *Info
	tally    *tally // of its principal; nil if it has none
	value    []byte
	slots    slotTable

	member                     memberID // where it is attached; 0 if it is not
	prevInMember, nextInMember sessionID
	firstHold, lastHold        holdID
	firstRequest, lastRequest  requestID
	holds, waits, places       uint32
	heap                       int32
	floors                     uint8 // floors got without a sign of life between
	onEnd                      OnEnd
	byCalls                    bool // never attached; every call renews it
	ledgerMark
}

func (s *sessionRow) attached() bool { return s.member != 0 }

// memberRow is one incarnation of a member.
type memberRow struct {
	name         string
	number       Incarnation
	beat         uint64
	deadline     Time
	first, last  sessionID // attached sessions, in the order of attach numbers
	sessionCount uint32
	heap         int32
	floors       uint8
	ledgerMark
}
