package ldlm

import (
	"encoding/binary"
	"log/slog"
	"runtime"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/clock"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// link is one connection of a session. It knows frames and whose turn it is to
// write; what frames mean is the session's business.
//
// Two goroutines belong to it, read and write; both end when it is closed. Who
// reads is said at [reading]. What
// has to be sent is appended to outbox. Whoever appends while nobody writes,
// writes itself, which saves a change of goroutines; what gathers meanwhile
// goes out in one piece, by the write goroutine, so that nobody writes for
// others for long.
type link struct {
	session *session
	carrier carrier
	address address
	logger  *slog.Logger
	// turn has the write goroutine take over; room for one.
	turn chan struct{}
	// gone is closed when the link is closed.
	gone chan struct{}
	// standing is closed when the session stands on this link, down when the
	// link failed. Each at most once.
	standing, down chan struct{}

	// Guarded by the session's mutex:

	// sent is just before hello was sent.
	sent clock.Instant
	// welcome is the answer to hello, until then nil.
	welcome *ldlmv2.Welcome
	// alive gathers the tokens of a resumed session until the last part.
	alive map[uint64]bool
	// heard: something came, or the end, when nobody listened to it any more.
	heard bool
	// leader is where the leader was last said to be on this link; zero if here, or
	// nowhere.
	leader address
	// move is when and where the session goes on to from here.
	move move
	// moved says that the session came here from another link, by a move.
	moved bool
	// err is why the link failed, once down is closed.
	err error
	// frames waits to be sent: frames with their lengths before them, the last
	// one open for more, from byte open on. spare is the buffer that it takes
	// turns with.
	frames, spare []byte
	open          int
	// writing says that somebody writes, or is about to.
	writing bool
	// farewell: the session is being closed; what still comes is not looked
	// at, and down tells when the connection has ended.
	farewell bool
	closed   bool

	reading reading

	// one is the frame that single operations are encoded from.
	one ldlmv2.ClientFrame
	ops [1]*ldlmv2.Op
}

// frameFillBytes is how large a frame grows before the next one is begun. A
// frame is never larger than that by more than one operation.
const frameFillBytes = 64 << 10

const noFrame = -1

func newLink(s *session, c carrier, a address) *link {
	return &link{
		session: s, carrier: c, address: a,
		logger: s.logger.With("address", a.text),
		turn:   make(chan struct{}, 1), gone: make(chan struct{}),
		standing: make(chan struct{}), down: make(chan struct{}),
		open: noFrame, reading: reading{relief: make(chan struct{}, 1)},
	}
}

// post appends an operation to what waits to be sent. The session's mutex is held.
func (l *link) post(op *ldlmv2.Op) {
	l.ops[0] = op
	l.one.Ops = l.ops[:]
	l.append(&l.one)
}

// append adds a frame's content to what waits to be sent: frames that follow
// each other are the same as one with the content of both. The session's mutex
// is held.
func (l *link) append(f *ldlmv2.ClientFrame) {
	if l.open == noFrame {
		l.open = len(l.frames)
		l.frames = append(l.frames, 0, 0, 0, 0)
	}
	l.frames = wire.AppendClient(l.frames, f)
	if len(l.frames)-l.open >= frameFillBytes {
		l.seal()
	}
}

// seal writes the length of the open frame.
func (l *link) seal() {
	if l.open == noFrame {
		return
	}
	binary.BigEndian.PutUint32(l.frames[l.open:], uint32(len(l.frames)-l.open-4))
	l.open = noFrame
}

// claim gives the caller the turn to write if nobody has it: then write must
// follow without the session's mutex, which is held.
func (l *link) claim() bool {
	if l.writing || l.closed || len(l.frames) == 0 {
		return false
	}
	l.writing = true
	return true
}

// handOver has the write goroutine send what waits. For those who must not
// block. The session's mutex is held.
func (l *link) handOver() {
	if l.claim() {
		l.turn <- struct{}{} // has room: only who has the turn sends
	}
}

// take returns what waits to be sent. The session's mutex is held.
func (l *link) take() []byte {
	l.seal()
	batch := l.frames
	l.frames, l.spare = l.spare[:0], nil
	return batch
}

// duty is what falls to a caller once its call is posted: to write it, and to
// read the answer. The zero duty is none.
type duty struct {
	link        *link
	write, read bool
}

// takeDuty gives a caller the turns that nobody else has. Then do must follow
// without the session's mutex, which is held.
func (s *session) takeDuty() duty {
	if s.link == nil {
		return duty{}
	}
	return duty{s.link, s.link.claim(), s.link.takeTurnToRead()}
}

func (d duty) do(ca *call) {
	if d.write {
		d.link.write(d.read)
	}
	if d.read {
		d.link.readFor(ca)
	}
}

// write sends what waits, for a caller of claim. Unless the caller is alone, it
// first lets others run who may have something to say too: answers come
// together, and whoever they wake up asks next.
func (l *link) write(alone bool) {
	s := l.session
	if !alone {
		runtime.Gosched()
	}
	s.mu.Lock()
	batch := l.take()
	s.mu.Unlock()

	err := l.carrier.Send(batch)

	s.mu.Lock()
	l.wrote(batch)
	more := err == nil && len(l.frames) > 0
	l.writing = more
	s.mu.Unlock()
	switch {
	case err != nil:
		s.linkBroke(l, err)
	case more:
		l.turn <- struct{}{}
	}
}

// maxSpareBytes bounds the buffer that is kept for the next batch.
const maxSpareBytes = 1 << 20

// wrote takes the buffer of a batch back.
func (l *link) wrote(batch []byte) {
	if cap(batch) <= maxSpareBytes {
		l.spare = batch[:0]
	}
}

// runWrites is the write goroutine: it sends for as long as something gathers,
// whenever it has the turn.
func (l *link) runWrites() {
	for {
		select {
		case <-l.turn:
			if !l.drain() {
				return
			}
		case <-l.gone:
			return
		}
	}
}

// drain sends until nothing waits. It reports false if the link failed.
func (l *link) drain() bool {
	s := l.session
	s.mu.Lock()
	for len(l.frames) > 0 && !l.closed {
		batch := l.take()
		s.mu.Unlock()
		if err := l.carrier.Send(batch); err != nil {
			s.linkBroke(l, err)
			return false
		}
		s.mu.Lock()
		l.wrote(batch)
	}
	l.writing = false
	s.mu.Unlock()
	return true
}

// runReads is the read goroutine: it hands frames to the session until the
// connection ends or the session has no use for it.
func (l *link) runReads() {
	f := &l.reading.frame
	for {
		if err := l.carrier.Receive(f); err != nil {
			l.session.linkBroke(l, err)
			return
		}
		if !l.session.handle(l, f) {
			return
		}
		if l.mayStandBy() && !l.standBy() {
			return
		}
	}
}

// close ends the connection and, with it, both goroutines. It may be called
// again. The session's mutex is not held.
func (l *link) close() {
	s := l.session
	s.mu.Lock()
	first := !l.closed
	l.closed = true
	s.mu.Unlock()
	if first {
		close(l.gone)
		l.carrier.Close()
	}
}
