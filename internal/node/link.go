package node

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// NoticeKind says what a [Notice] tells.
type NoticeKind uint8

// Kinds of notices.
const (
	// Answer is the outcome of the command with this Slot and Seq. A queued
	// acquire gets two: Queued, and its end. An acquire that was cancelled may
	// get its end twice.
	Answer NoticeKind = iota
	// Lost tells that a hold has ended without the client's asking.
	Lost
	// Revoked tells that a hold ends soon unless the client releases it before.
	Revoked
	// SessionEnd tells that the session has ended; it is the last notice.
	SessionEnd
)

// Notice is one thing that a client has to be told.
type Notice struct {
	Kind NoticeKind
	// Reason of Lost and SessionEnd.
	Reason lock.EndReason
	// Slot and Seq of an Answer.
	Slot uint32
	Seq  uint64
	// Name and Token of a Lost or Revoked hold.
	Name  string
	Token lock.Token
	// Outcome of an Answer.
	Outcome lock.Outcome
}

// Link is one connection of a session: the way in for its commands, and the
// mailbox of what its client has to be told.
//
// The mailbox is bounded by what the client has outstanding: an answer for each
// command, a second one for each wait, a notice for each hold. Whoever takes
// commands from a client must therefore not take more while it cannot get rid
// of what is in the mailbox.
//
// All methods are safe for concurrent use.
type Link struct {
	node *Node

	// Set under Node.mu when the link comes to life, before anybody else has
	// it; constant afterwards.
	session     lock.SessionNumber
	number      uint64
	incarnation lock.Incarnation
	validFor    time.Duration

	// quietAt is the index of the newest entry with a batch of this link that
	// somebody waits for: he will look into the mailbox anyway, so what the same
	// entry puts there wakes nobody. Guarded by Node.mu.
	quietAt uint64

	wake  chan struct{} // room for one
	ended chan struct{}
	spare atomic.Pointer[batch] // for the next Submit

	// mu is held for copying notices, so that taking them never waits for an
	// Apply. Guarded by it:
	mu     sync.Mutex
	box    []Notice
	shut   bool   // nothing goes in, and nothing comes out any more
	muted  bool   // nothing goes in
	reason error  // why it ended; nil while it lives
	rouse  func() // see Notify; nil if nobody asked
}

func newLink(n *Node) *Link {
	return &Link{node: n, wake: make(chan struct{}, 1), ended: make(chan struct{})}
}

// Session returns the number of the session.
func (l *Link) Session() lock.SessionNumber { return l.session }

// Number returns the attach number, which every command over this connection carries.
func (l *Link) Number() uint64 { return l.number }

// Submit proposes commands as one batch, all of them on behalf of the link's
// session and under its number. Their outcomes come as answers into the
// mailbox: before Submit returns nil, and later or never after an error that
// wraps journal.ErrUnknown. Commands that have no Caller get no answer. Acquires
// without a key are given one.
//
// The commands may be used again once Submit has returned nil.
func (l *Link) Submit(ctx context.Context, commands []lock.Command) error {
	if err := l.Reason(); err != nil {
		return refused(err)
	}
	if len(commands) == 0 {
		return nil
	}
	b := l.stage(commands)
	err := l.node.propose(ctx, b)
	if errors.Is(err, journal.ErrUnknown) {
		l.node.disown(b)
	}
	l.unstage(b, err)
	return err
}

// stage makes a batch of commands that are about to be proposed.
func (l *Link) stage(commands []lock.Command) *batch {
	l.node.keys.fill(commands)
	b := l.spare.Swap(nil)
	if b == nil {
		b = &batch{link: l}
	}
	b.commands = commands
	return b
}

// unstage takes a batch back that was proposed with this result, if it is over with.
// A batch that is not was disowned before: what comes of it, or has come meanwhile,
// is found in the mailbox.
func (l *Link) unstage(b *batch, err error) {
	switch {
	case err == nil:
		b.commands = nil
		l.spare.Store(b)
	case errors.Is(err, journal.ErrUnknown):
		l.mu.Lock()
		defer l.mu.Unlock()
		l.tell()
	}
}

// Take appends everything that has gathered in the mailbox to buf, oldest
// first, and returns it. It never blocks. If buf is empty, its memory becomes
// the mailbox's: the caller must use the returned slice instead.
func (l *Link) Take(buf []Notice) []Notice {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(buf) == 0 {
		buf, l.box = l.box, recycleNotices(buf)
		return buf
	}
	buf = append(buf, l.box...)
	l.box = recycleNotices(l.box)
	return buf
}

// recycleNotices empties a slice of notices, and lets go of one that grew large.
func recycleNotices(s []Notice) []Notice {
	const most = 1024
	if cap(s) > most {
		return nil
	}
	clear(s)
	return s[:0]
}

// Wake has a token when something has gathered in the mailbox since the last
// one was received, unless it came of a Submit that has returned: whoever
// submits looks for the answers.
func (l *Link) Wake() <-chan struct{} { return l.wake }

// Notify has f called whenever Wake gets a token, and when the link ends; at once
// if there is something to take already. It saves the goroutine that would wait
// for either. f is called with mutexes held: it must neither wait nor use the link.
func (l *Link) Notify(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rouse = f
	if len(l.box) > 0 || l.reason != nil {
		f()
	}
}

// tell wakes whoever waits for something to take. l.mu is held.
func (l *Link) tell() {
	signal(l.wake)
	if l.rouse != nil {
		l.rouse()
	}
}

// Mute drops all notices from now on, for a client that cannot be told: the end
// of the link remains.
func (l *Link) Mute() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.muted, l.box = true, nil
}

// Confirm says whether a keep-alive that has been read may be confirmed, and
// for how long the session is then the client's, counted from before it sent
// that keep-alive. Notices of everything that had ended by then are in the
// mailbox when it returns; they must leave before the confirmation.
func (l *Link) Confirm() (valid time.Duration, ok bool) {
	n := l.node
	alone := n.alone()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.links[l.session] != l || !n.table.Attached(l.session, l.number, l.incarnation) {
		return 0, false
	}
	if !alone && n.lease.left() <= 0 {
		return 0, false // the table may have given it to another one
	}
	return l.validFor, true
}

// validFor is how long a client may believe in a session of this ttl: the
// margin for clocks that go at different rates is on the client's side.
func validFor(ttl lock.Duration) time.Duration { return timeOf(ttl * 100 / 112) }

// Ended is closed when the link has ended: its session has, or a newer link has
// taken over, or the table has detached it, or the node is closed, or Detach
// was called. The connection is to be closed then.
func (l *Link) Ended() <-chan struct{} { return l.ended }

// Reason returns why the link has ended: a *SessionEndedError, ErrSuperseded,
// ErrDetached or ErrClosed; nil while it lives.
func (l *Link) Reason() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reason
}

// Detach reports the end of the connection. silent is how long ago the last
// confirmed keep-alive was read, byClient whether the client's side ended the
// connection. From the moment of the call nothing is taken from the mailbox and
// nothing confirmed; then the table is told, in the background, until that is
// certain. Detaching again does nothing.
func (l *Link) Detach(silent time.Duration, byClient bool) {
	l.close()
	n := l.node
	n.mu.Lock()
	defer n.mu.Unlock()
	live := n.links[l.session] == l
	if live {
		delete(n.links, l.session)
	}
	l.finish(ErrDetached)
	if live {
		n.clerk.add(&lock.Detach{
			Session: l.session, Attach: l.number, Silent: spanOf(max(0, silent)), ByClient: byClient,
		})
	}
}

// finish ends the link, once. After an end by a newer link nothing may leave on
// the older connection.
func (l *Link) finish(reason error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reason != nil {
		return
	}
	l.reason = reason
	if errors.Is(reason, ErrSuperseded) {
		l.shut, l.box = true, nil
	}
	close(l.ended)
	if l.rouse != nil {
		l.rouse()
	}
}

// close shuts the mailbox.
func (l *Link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shut, l.box = true, nil
}

// put adds a notice and wakes whoever waits for one, unless told to be quiet.
func (l *Link) put(notice Notice, quiet bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut || l.muted {
		return
	}
	l.box = append(l.box, notice)
	if !quiet {
		l.tell()
	}
}

// putAnswers adds the outcomes of commands that were submitted. If whoever did
// so is not waiting for them any more, he is woken.
func (l *Link) putAnswers(commands []lock.Command, outcomes []lock.Outcome, late bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut || l.muted {
		return
	}
	for i, c := range commands {
		caller := callerOf(c)
		if caller == nil {
			continue // nobody could tell what such an answer belongs to
		}
		l.box = append(l.box, Notice{Kind: Answer, Slot: caller.Slot, Seq: caller.Seq, Outcome: outcomes[i]})
	}
	if late {
		l.tell()
	}
}
