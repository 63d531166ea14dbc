package raftlog

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// A Courier carries questions from member to member, whose [Journal.Serve] answers
// them. It must be safe for concurrent use.
type Courier interface {
	// Ask returns the answer of a member. An error that wraps journal.ErrRefused
	// says that the question certainly did not arrive. Ask returns soon after the end
	// of ctx.
	Ask(ctx context.Context, of Peer, question []byte) ([]byte, error)
}

// Whoever does not lead asks who does. A question is never passed on: a member
// that leads no more refuses it. So there are no loops.
const (
	askPropose = 1 // number and process of the origin, 8 bytes each, and the batch
	askBarrier = 2
	askAdmit   = 3 // see members.go
	askPromote = 4
	askRemove  = 5
	askLead    = 6
	askTerm    = 7 // see reading.go
)

// An answer is a status, then what is known of the entries, or the term (8 bytes), then a
// text. That of answerElsewhere is the member that leads, its address behind a 0.
const (
	answerDone      = 0 // the entry that has to be applied
	answerRefused   = 1
	answerUnknown   = 2
	answerElsewhere = 3
	answerHead      = 9
)

var (
	errNoLeader  = errors.New("no member leads: a majority of the members must run and reach each other")
	errOvertaken = errors.New("a snapshot came before the entry")
	errElsewhere = errors.New("the member that was asked does not lead")
)

// elsewhereError says that another member is to be asked, or the same one later, because of
// an error that says that nothing has happened.
type elsewhereError struct{ err error }

func (e *elsewhereError) Error() string   { return e.err.Error() }
func (e *elsewhereError) Unwrap() []error { return []error{errElsewhere, e.err} }

// elsewhere reports whether an error says that another member is to be asked, or
// this one later, and that nothing has happened.
func elsewhere(err error) bool {
	return errors.Is(err, journal.ErrRefused) && (errors.Is(err, errNotLeader) || errors.Is(err, errNoLeader) ||
		errors.Is(err, errElsewhere) || errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrLeadershipTransferInProgress))
}

// sent is what was proposed here and is on its way through another member.
type sent struct {
	process uint64 // of this life of the journal

	mu      sync.Mutex
	newest  uint64
	pending map[uint64]*proposal
	// left are those whose callers have gone, oldest first: their outcomes are
	// still wanted, but not for ever.
	left []uint64
}

// maxLeft is how many batches without a caller are remembered. One that is
// forgotten is applied as that of a stranger.
const maxLeft = 4096

func newSent() *sent {
	return &sent{process: newProcess(), pending: map[uint64]*proposal{}}
}

// newProcess draws a number that no other process has.
func newProcess() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}

// add gives a proposal an origin.
func (s *sent) add(p *proposal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newest++
	p.from = origin{s.process, s.newest}
	s.pending[s.newest] = p
}

// take returns the proposal of an origin, once; nil if it is not one of ours.
func (s *sent) take(from origin) *proposal {
	if from.number == 0 || from.process != s.process {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pending[from.number]
	delete(s.pending, from.number)
	return p
}

// leave is for a caller who waits no more.
func (s *sent) leave(p *proposal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left = append(s.left, p.from.number); len(s.left) > maxLeft {
		delete(s.pending, s.left[0])
		s.left = s.left[1:]
	}
}

// fail tells everybody who waits, for good.
func (s *sent) fail(reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pending {
		p.done <- reason
	}
	clear(s.pending)
	s.left = nil
}

// runObserver follows who leads.
func (j *Journal) runObserver() {
	seen, missed := make(chan raft.Observation, 16), map[raft.ServerID]bool{}
	o := raft.NewObserver(seen, false, func(o *raft.Observation) bool {
		switch o.Data.(type) {
		case raft.LeaderObservation, raft.FailedHeartbeatObservation, raft.ResumedHeartbeatObservation:
			return true
		default:
			return false
		}
	})
	j.raft.RegisterObserver(o)
	defer j.raft.DeregisterObserver(o)
	for {
		// What was observed may be old: the newest counts.
		address, member := j.raft.LeaderWithID()
		j.noteLeader(Peer{Member: string(member), Address: string(address)})
		select {
		case o := <-seen:
			j.noteReach(missed, o.Data)
		case <-j.stopped.Done():
			return
		}
	}
}

// noteReach says once that a member cannot be reached by this one, which leads, and once
// that it is reached again. missed are those that cannot.
func (j *Journal) noteReach(missed map[raft.ServerID]bool, what any) {
	switch o := what.(type) {
	case raft.FailedHeartbeatObservation:
		if !missed[o.PeerID] {
			missed[o.PeerID] = true
			j.log.WarnContext(j.stopped, "A member cannot be reached", "member", string(o.PeerID))
		}
	case raft.ResumedHeartbeatObservation:
		if missed[o.PeerID] {
			delete(missed, o.PeerID)
			j.log.InfoContext(j.stopped, "A member is reached again", "member", string(o.PeerID))
		}
	case raft.LeaderObservation:
		clear(missed) // whoever leads looks anew
	}
}

func (j *Journal) noteLeader(l Peer) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case l.Address == "" && j.leader.Address != "":
		j.leaderless = time.Now()
	case l.Address != "":
		j.leaderless = time.Time{}
	}
	switch {
	case j.alone || j.leader == l:
	case l.Member == "":
		j.log.WarnContext(j.stopped, "No member is known to lead", "member", j.cfg.Member)
	case l.Member != j.cfg.Member:
		j.log.InfoContext(j.stopped, "Another member leads", "member", l.Member, "address", l.Address)
	}
	j.leader = l
	j.tell()
}

// Leader returns who leads, as far as it is known here; false if it is not.
func (j *Journal) Leader() (Peer, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.leader, j.leader.Address != ""
}

// Changed returns a channel that is closed when another member leads, or when this
// one begins or ends to accept batches.
func (j *Journal) Changed() <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.changed
}

// respite is how long a caller waits for a lead in all: as long as it usually takes
// to elect one, and not at all if there has been none for longer.
type respite struct{ until time.Time }

func (j *Journal) newRespite() *respite {
	return &respite{time.Now().Add(j.patient())}
}

// patient is longer than an election takes.
func (j *Journal) patient() time.Duration { return 5 * j.cfg.Timing.Heartbeat }

// pause waits for a change, or a little; false if there is no more time.
func (j *Journal) pause(ctx context.Context, p *respite) bool {
	j.mu.Lock()
	changed, until := j.changed, p.until
	if !j.leaderless.IsZero() {
		if end := j.leaderless.Add(j.patient()); end.Before(until) {
			until = end
		}
	}
	j.mu.Unlock()
	left := time.Until(until)
	if left <= 0 {
		return false
	}
	t := time.NewTimer(min(left, j.cfg.Timing.Heartbeat/10))
	defer t.Stop()
	select {
	case <-changed:
	case <-t.C:
	case <-ctx.Done():
		return false
	case <-j.stopped.Done():
		return false
	}
	return true
}

// proposeAnywhere proposes a batch here or through the member that leads, and waits
// while there is none, but not for long.
func (j *Journal) proposeAnywhere(ctx context.Context, b journal.Batch, data []byte) error {
	for w := j.newRespite(); ; {
		p := newProposal(b)
		p.data = data
		err := j.proposeOnce(ctx, p)
		if !elsewhere(err) || !j.pause(ctx, w) {
			return err
		}
	}
}

// proposeOnce proposes a batch to whoever leads now.
func (j *Journal) proposeOnce(ctx context.Context, p *proposal) error {
	if _, err := j.leads(); err == nil || !errors.Is(err, errNotLeader) {
		return j.proposeHere(ctx, p)
	}
	to, known := j.Leader()
	if !known || to.Member == j.cfg.Member {
		return refused(errNoLeader)
	}
	return j.forward(ctx, to, p)
}

// forward proposes a batch through another member. It has happened when it was
// applied here, whatever the other one says.
func (j *Journal) forward(ctx context.Context, to Peer, p *proposal) error {
	j.sent.add(p)
	question := make([]byte, 0, 17+len(p.data))
	question = append(question, askPropose)
	question = binary.LittleEndian.AppendUint64(question, p.from.number)
	question = binary.LittleEndian.AppendUint64(question, p.from.process)
	_, err := j.ask(ctx, to, append(question, p.data...))
	if errors.Is(err, journal.ErrRefused) {
		j.sent.take(p.from)
		return err
	}
	if err == nil {
		select {
		case err = <-p.done:
			return err
		case <-ctx.Done():
			err = unknown(context.Cause(ctx))
		case <-j.stopped.Done():
			err = unknown(errClosed)
		case <-j.disk.failed:
			return j.disk.check()
		}
	}
	select {
	case err = <-p.done: // it was faster than the bad news
	default:
		j.sent.leave(p)
	}
	return err
}

// ask asks a member and reads the answer.
func (j *Journal) ask(ctx context.Context, of Peer, question []byte) (index uint64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(j.stopped, cancel)() //nolint:contextcheck // it is the journal's own end
	answer, err := j.cfg.Courier.Ask(ctx, of, question)
	switch {
	case errors.Is(err, journal.ErrRefused):
		return 0, &elsewhereError{err}
	case err != nil:
		return 0, unknown(err)
	}
	return readAnswer(answer)
}

func writeAnswer(err error, index uint64) []byte {
	status, text := byte(answerDone), ""
	moved := (*movedError)(nil)
	switch {
	case err == nil:
	case errors.As(err, &moved):
		status, text = answerElsewhere, moved.to.Member+"\x00"+moved.to.Address
	case elsewhere(err), errors.Is(err, errClosed): // who asks waits for the next lead
		status = answerElsewhere
	case errors.Is(err, journal.ErrRefused):
		status, text = answerRefused, reason(err, journal.ErrRefused)
	default:
		status, text = answerUnknown, reason(err, journal.ErrUnknown)
	}
	return append(binary.LittleEndian.AppendUint64([]byte{status}, index), text...)
}

// reason is an error without its kind, which the status of the answer has.
func reason(err, kind error) string { return strings.TrimPrefix(err.Error(), kind.Error()+": ") }

func readAnswer(b []byte) (index uint64, err error) {
	if len(b) < answerHead {
		return 0, unknown(errors.New("the answer ends early"))
	}
	index, text := binary.LittleEndian.Uint64(b[1:]), string(b[answerHead:])
	switch b[0] {
	case answerDone:
		return index, nil
	case answerElsewhere:
		return 0, refused(readMoved(text))
	case answerRefused:
		return 0, refused(errors.New(text))
	default:
		return 0, unknown(errors.New(text))
	}
}

// Serve answers a question that another member's journal has asked.
func (j *Journal) Serve(ctx context.Context, question []byte) []byte {
	if len(question) == 0 {
		return writeAnswer(refused(errors.New("the question is empty")), 0)
	}
	kind, rest := question[0], question[1:]
	var err error
	switch kind {
	case askTerm:
		return writeAnswer(nil, j.raft.CurrentTerm())
	case askPropose:
		err = j.serveProposal(ctx, rest)
	case askBarrier:
		err = j.serveBarrier(ctx)
	case askAdmit, askPromote, askRemove, askLead:
		err = j.serveMembership(kind, rest)
	default:
		err = refused(fmt.Errorf("a question of kind %d is not known here: this member has an older version", kind))
	}
	return writeAnswer(err, j.fsm.lastApplied.Load())
}

// serveProposal proposes a batch for another member.
func (j *Journal) serveProposal(ctx context.Context, b []byte) error {
	const head = 16
	if len(b) < head {
		return refused(errEntryShort)
	}
	data := slices.Clone(b[head:])
	batch, err := j.machine.Decode(data)
	if err != nil {
		return refused(err)
	}
	p := &proposal{batch: batch, data: data, done: make(chan error, 1)}
	p.from = origin{number: binary.LittleEndian.Uint64(b), process: binary.LittleEndian.Uint64(b[8:])}
	if p.from.number == 0 {
		return refused(errors.New("a batch without an origin"))
	}
	return j.proposeHere(ctx, p)
}
