package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// Node is one member's half of a lock manager. Make one with [Open]. All
// methods are safe for concurrent use.
type Node struct {
	// Set by Open, constant afterwards.
	cfg     Config
	log     *slog.Logger
	journal journal.Journal
	herald  *herald
	scribe  *scribe
	clerk   *clerk
	keys    *keySource
	// votesAlone reports whether nobody else could lead; nil if nobody ever can.
	votesAlone func() bool
	batches    sync.Pool // of *batch with one command
	// idleWaiters is of *waiter that nobody tells anything.
	idleWaiters sync.Pool

	// ctx ends with the node; its cause wraps ErrClosed.
	ctx     context.Context
	end     context.CancelCauseFunc
	tasks   sync.WaitGroup
	closing sync.Once
	closed  error // what Close returns; set in closing

	// wakeTimekeeper and wakeBeater have room for one.
	wakeTimekeeper, wakeBeater chan struct{}

	// joining has a token while a new incarnation is proposed, so that one is
	// enough for everybody who needs it.
	joining chan struct{}

	// begun is closed when the member has joined, and clients may come.
	begun chan struct{}

	// apart is set when the table is not to be believed any more.
	apart atomic.Pointer[error]

	// leading guards itself.
	leading leading

	// mu is held for one Apply, or for one read of bounded size: nothing waits
	// under it. Mailboxes, ring and clerk have mutexes of their own, taken
	// inside this one. Guarded by it:
	mu          sync.Mutex
	table       *lock.Table
	clock       clock
	links       map[lock.SessionNumber]*Link // live ones
	waiters     map[requestName]*waiter      // chained through next
	incarnation lock.Incarnation             // 0 before Join
	lease       memberLease
	beat        uint64 // number of the newest beat
	marks       marks
	commands    []lock.Command // scratch of Apply, empty between
}

// Open makes a node over the journal that open returns for the node's machine,
// gives birth to the table if that is new, proposes the settings, joins as a
// member, and starts the node's goroutines. With Config.Shared it does the first
// three in the background, as soon as a majority can be reached.
func Open(cfg Config, open func(journal.Machine) (journal.Journal, error)) (*Node, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	n := &Node{
		cfg: cfg, log: cfg.Logger, herald: newHerald(cfg.EventBacklog), scribe: newScribe(cfg.Logger),
		clerk: newClerk(), keys: &keySource{},
		wakeTimekeeper: make(chan struct{}, 1), wakeBeater: make(chan struct{}, 1), joining: make(chan struct{}, 1), begun: make(chan struct{}),
		table: lock.New(), clock: clock{limit: cfg.StallLimit},
		links: map[lock.SessionNumber]*Link{}, waiters: map[requestName]*waiter{},
	}
	n.ctx, n.end = context.WithCancelCause(context.Background())
	if n.journal, err = open((*machine)(n)); err != nil {
		n.end(ErrClosed)
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	if j, ok := n.journal.(interface{ VotesAlone() bool }); ok {
		n.votesAlone = j.VotesAlone
	}
	if cfg.Shared {
		n.tasks.Go(n.beginShared)
		n.tasks.Go(n.runWarden)
	} else if err := n.begin(); err != nil {
		n.end(ErrClosed)
		return nil, errors.Join(err, n.journal.Close())
	}
	n.tasks.Go(n.runLead)
	n.tasks.Go(n.runBeater)
	n.tasks.Go(n.runClerk)
	n.tasks.Go(func() { n.herald.run(n.ctx) })
	n.tasks.Go(func() { n.scribe.run(n.ctx) })
	return n, nil
}

// begin proposes what comes before everything else.
func (n *Node) begin() error {
	if err := n.journal.Barrier(n.ctx); err != nil {
		return fmt.Errorf("catch up with the journal: %w", err)
	}
	var commands []lock.Command
	n.mu.Lock()
	unborn := n.table.Token() == 0 // nothing was granted, nor could it have been
	n.mu.Unlock()
	if unborn {
		commands = append(commands, &lock.Birth{
			Wall: uint64(max(0, time.Now().UnixMicro())), Quiet: spanOf(n.cfg.QuietStart),
		})
		if !n.cfg.Shared {
			commands = append(commands, &lock.Lead{Member: n.cfg.Member})
		}
	}
	commands = append(commands, &lock.SetSettings{Settings: n.wanted(unborn)})
	b := newBatch(commands...)
	if err := n.propose(n.ctx, b); err != nil {
		return fmt.Errorf("propose the settings: %w", err)
	}
	for i, o := range b.outcomes {
		if o.Code != lock.OK {
			return fmt.Errorf("the table refuses %s: code %d, field %d, limit %d",
				sourceOf(commands[i]), o.Code, o.Field, o.Limit)
		}
	}
	if err := n.cfg.checkLease(n.settings().MemberLease); err != nil {
		return err
	}
	if n.alone() {
		if err := n.DisownBound(n.ctx); err != nil {
			return err
		}
	}
	o, err := n.join(n.ctx, 0)
	if err == nil && o.Code != lock.OK {
		err = fmt.Errorf("the table refuses Member %q: code %d, field %d, limit %d", n.cfg.Member, o.Code, o.Field, o.Limit)
	}
	if err == nil {
		close(n.begun)
	}
	return err
}

// beginShared begins as soon as there is a majority, and ends the node if the table
// does not take what it is configured with.
func (n *Node) beginShared() {
	for r, told := (retry{}), false; ; {
		err := n.begin()
		switch {
		case err == nil:
			return
		case n.Err() != nil:
			return
		case !errors.Is(err, journal.ErrRefused) && !errors.Is(err, journal.ErrUnknown):
			n.broken(err)
			return
		case !told:
			told = true
			n.log.WarnContext(n.ctx, "This member waits for a majority of the members", "member", n.cfg.Member, "err", err)
		}
		if !r.pause(n.ctx, n) {
			return
		}
	}
}

// wanted are the settings that this member proposes. One of several lowers nothing that
// others may need: the one that leads does, when all of them agree.
func (n *Node) wanted(unborn bool) lock.Settings {
	s, now := n.cfg.Settings, n.settings()
	switch {
	case !n.cfg.Shared:
		s.Format = n.cfg.Level
	case !unborn:
		s.Format = now.Format
	}
	s = s.WithDefaults()
	if n.cfg.Shared && !unborn {
		s.MemberLease, s.MaxIdleTTL = max(s.MemberLease, now.MemberLease), max(s.MaxIdleTTL, now.MaxIdleTTL)
	}
	return s
}

var errNotJoined = errors.New("this member has not joined the others yet: a majority of the members must run and reach each other")

// notYet refuses what comes before the member has joined.
func (n *Node) notYet() error {
	select {
	case <-n.begun:
		return nil
	default:
		return refused(errNotJoined)
	}
}

// Begun is closed when the member has joined and serves clients.
func (n *Node) Begun() <-chan struct{} { return n.begun }

// sourceOf names the part of the Config that a command of begin came from.
func sourceOf(c lock.Command) string {
	switch c.(type) {
	case *lock.Birth:
		return "QuietStart"
	case *lock.Lead:
		return "Member"
	default:
		return "Settings"
	}
}

func (n *Node) settings() lock.Settings {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.table.Settings()
}

// Close ends the node: everybody who waits, now or later, gets ErrClosed, all
// links end, and when it returns no goroutine is left. Closing again returns
// what the first Close did.
func (n *Node) Close() error {
	n.closing.Do(func() {
		n.fail(ErrClosed)
		n.closed = n.journal.Close()
		n.tasks.Wait()
	})
	return n.closed
}

// Done is closed when the node has ended, by Close or because its journal
// failed; then Err says why. After a failure Close is still needed.
func (n *Node) Done() <-chan struct{} { return n.ctx.Done() }

// Err returns why the node has ended, nil while it has not. It wraps ErrClosed,
// and journal.ErrFatal if the process must not go on.
func (n *Node) Err() error { return context.Cause(n.ctx) }

// fail ends everybody who waits.
func (n *Node) fail(cause error) {
	n.end(cause)
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.links {
		l.finish(n.Err())
	}
	clear(n.links)
}

// broken ends the node because its journal has failed.
func (n *Node) broken(err error) {
	why := fmt.Errorf("%w: %w", ErrClosed, err)
	n.fail(why)
	if n.Err() == why { //nolint:errorlint // whoever was first says so
		n.log.ErrorContext(n.ctx, "the journal has failed", "err", err)
	}
}

// propose puts a batch into the order. Its errors are the journal's; those of
// an ended node wrap ErrClosed as well.
func (n *Node) propose(ctx context.Context, b *batch) error {
	err := n.journal.Propose(ctx, b)
	if err == nil {
		err = n.parted()
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, journal.ErrFatal) {
		n.broken(err)
	}
	if ended := n.Err(); ended != nil {
		return fmt.Errorf("%w: %w", ended, err)
	}
	return err
}

// ask proposes one command that nobody retries and returns its outcome.
func (n *Node) ask(ctx context.Context, c lock.Command) (lock.Outcome, error) {
	b := n.single(c)
	if err := n.propose(ctx, b); err != nil {
		return lock.Outcome{}, err
	}
	o := b.outcomes[0]
	n.recycle(b)
	return o, nil
}

// Advance lets time pass on the table's clock, as if the node had lived through
// it, beats included. It is for tests of programs.
func (n *Node) Advance(d time.Duration) {
	for d > 0 {
		n.mu.Lock()
		step := d
		if len(n.links) > 0 {
			step = min(d, timeOf(n.table.Settings().MemberLease)/2)
		}
		n.clock.gathered += step
		beat := n.nextBeat()
		n.mu.Unlock()
		if _, err := n.ask(n.ctx, beat); err != nil {
			return
		}
		d -= step
	}
}

// signal wakes whoever waits on a channel with room for one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// retry spaces the attempts of one proposal.
type retry struct{ wait time.Duration }

const (
	firstPause = 10 * time.Millisecond
	lastPause  = time.Second
)

// pause waits, longer each time; false if ctx or the node ends first.
func (r *retry) pause(ctx context.Context, n *Node) bool {
	r.wait = min(max(2*r.wait, firstPause), lastPause)
	t := time.NewTimer(r.wait)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-n.ctx.Done():
	}
	return false
}
