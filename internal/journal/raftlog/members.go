package raftlog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// Member is one of the members, as the newest configuration in the log has it.
type Member struct {
	Peer
	// Votes is false for a member that is sent the log but does not count yet.
	Votes bool
}

// Members returns all members.
func (j *Journal) Members() []Member {
	var all []Member
	for _, s := range j.raft.GetConfiguration().Configuration().Servers {
		all = append(all, Member{Peer{string(s.ID), string(s.Address)}, s.Suffrage == raft.Voter})
	}
	return all
}

// VotesAlone reports whether nobody else could lead, or change anything: this is the
// only member with a vote, by the newest configuration in its own log.
func (j *Journal) VotesAlone() bool { return j.votesAlone() }

// Cluster is the identity of the cluster that the data directory belongs to.
func (j *Journal) Cluster() string { return j.dir.Cluster }

// member returns a member by its name.
func (j *Journal) member(name string) (Member, bool) {
	for _, m := range j.Members() {
		if m.Member == name {
			return m, true
		}
	}
	return Member{}, false
}

// movedError says who leads instead of the member that was asked.
type movedError struct{ to Peer }

func (e *movedError) Error() string { return errElsewhere.Error() }
func (e *movedError) Unwrap() error { return errElsewhere }

func readMoved(text string) error {
	to := readPeer(text)
	if to.Address == "" {
		return errElsewhere
	}
	return &movedError{to}
}

func appendPeer(b []byte, p Peer) []byte { return append(b, p.Member+"\x00"+p.Address...) }

func readPeer(text string) Peer {
	member, address, _ := strings.Cut(text, "\x00")
	return Peer{Member: member, Address: address}
}

// Join asks to become a member: first one without a vote, who is sent the log, and
// one with a vote once it has what the others have. at is any member. It goes on
// until it has succeeded, was refused, or ctx ends. To join again is no error, and
// tells the others a new address.
func (j *Journal) Join(ctx context.Context, at Peer) error {
	self := Peer{Member: j.cfg.Member, Address: string(j.cfg.Transport.LocalAddr())}
	if err := j.request(ctx, at, askAdmit, self); err != nil {
		return fmt.Errorf("join at %s: %w", at.Address, err)
	}
	for j.Barrier(ctx) != nil {
		if err := j.rest(ctx); err != nil {
			return fmt.Errorf("catch up with the members: %w", err)
		}
	}
	if err := j.request(ctx, at, askPromote, self); err != nil {
		return fmt.Errorf("get a vote: %w", err)
	}
	return nil
}

// Admit makes a member known to the others: a new one without a vote, which it asks for itself
// when it has caught up, see [Journal.Join]. Of one that they know it tells the present address.
func (j *Journal) Admit(ctx context.Context, p Peer) error {
	return j.request(ctx, Peer{}, askAdmit, p)
}

// Remove makes a member none any more. Its data stays with it.
func (j *Journal) Remove(ctx context.Context, member string) error {
	return j.request(ctx, Peer{}, askRemove, Peer{Member: member})
}

// Transfer hands the lead to a member, or to any if the name is empty. Batches that are
// proposed meanwhile wait for it.
func (j *Journal) Transfer(ctx context.Context, member string) error {
	return j.request(ctx, Peer{}, askLead, Peer{Member: member})
}

// Yield hands the lead to any other member, if this one leads and there is one.
func (j *Journal) Yield() error {
	if l, known := j.Leader(); !known || l.Member != j.cfg.Member || j.alone || j.votesAlone() {
		return nil
	}
	if err := j.handOver("", j.cfg.Timing.Heartbeat); !errors.Is(err, raft.ErrNotLeader) && !errors.Is(err, errNotLeader) {
		return err
	}
	return nil // another one has it already
}

// request asks whoever leads for a change of the members, until it is made. Members may
// know of different ones that lead, so whom one of them names is asked once, and then the
// request rests.
func (j *Journal) request(ctx context.Context, at Peer, kind byte, about Peer) error {
	to := at
	for named := false; ; {
		var err error
		if l, known := j.Leader(); known && !named {
			to = l
		}
		switch {
		case to.Member == j.cfg.Member:
			err = j.change(kind, about)
		case to.Address == "":
			err = refused(errNoLeader)
		default:
			_, err = j.ask(ctx, to, appendPeer([]byte{kind}, about))
		}
		moved := (*movedError)(nil)
		switch {
		case err == nil:
			return nil
		case errors.As(err, &moved) && !named:
			to, named = moved.to, true
			continue
		case errors.Is(err, journal.ErrRefused) && !elsewhere(err):
			return err
		}
		to, named = at, false
		switch stop := j.rest(ctx); {
		case errors.Is(stop, journal.ErrFatal): // it says why nothing came of the attempts
			return stop
		case stop != nil:
			return fmt.Errorf("%w; the last attempt: %w", stop, err)
		}
	}
}

// rest waits a little before something is asked again.
func (j *Journal) rest(ctx context.Context) error {
	t := time.NewTimer(j.cfg.Timing.Heartbeat / 2)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return refused(context.Cause(ctx))
	case <-j.stopped.Done():
		return refused(errClosed)
	case <-j.disk.failed:
		return j.disk.check()
	}
}

// serveMembership changes the members for another one.
func (j *Journal) serveMembership(kind byte, b []byte) error {
	if _, err := j.leads(); err != nil {
		if l, known := j.Leader(); known && l.Member != j.cfg.Member {
			return refused(&movedError{l})
		}
		return err
	}
	return j.change(kind, readPeer(string(b)))
}

// change changes the members. It is for who leads.
func (j *Journal) change(kind byte, about Peer) error {
	if _, err := j.leads(); err != nil {
		return err
	}
	now, is := j.member(about.Member)
	id, address := raft.ServerID(about.Member), raft.ServerAddress(about.Address)
	limit := 2 * j.cfg.WriteDeadline
	var f raft.Future
	switch {
	case kind == askLead && about.Member == j.cfg.Member:
		return nil
	case kind == askLead && (about.Member == "" || now.Votes):
		return j.handOver(about.Member, limit)
	case kind == askRemove && is:
		f = j.raft.RemoveServer(id, 0, limit)
	case kind == askRemove:
		return refused(fmt.Errorf("there is no member %q: see the list of the members", about.Member))
	case kind == askLead:
		return refused(fmt.Errorf("there is no member %q with a vote: see the list of the members", about.Member))
	case about.Member == "" || about.Address == "":
		return refused(errors.New("a member needs a name and an address"))
	case j.taken(about) != "":
		return refused(fmt.Errorf("the address %s is that of member %q: give each member its own", about.Address, j.taken(about)))
	case j.alone: // and entries are committed when they are written
		return refused(errors.New("this member is alone and has no address for others: start it as one of several"))
	case is && now.Address == about.Address && (now.Votes || kind == askAdmit):
		return nil
	case kind == askAdmit && !is && j.roll.met(about.Member):
		return refused(fmt.Errorf("there was a member %q before, and a name belongs to its first data directory for ever: "+
			"join with an empty data directory and a name that was never used", about.Member))
	case kind == askAdmit && !now.Votes:
		f = j.raft.AddNonvoter(id, address, 0, limit)
	default:
		f = j.raft.AddVoter(id, address, 0, limit)
	}
	if err := j.await(f); err != nil {
		return ended(err)
	}
	j.log.InfoContext(j.stopped, "The members have changed", "change", changes[kind], "member", about.Member, "address", about.Address)
	return nil
}

var changes = [...]string{askAdmit: "joined", askPromote: "has a vote", askRemove: "removed"}

// taken returns the other member that has an address, "" if there is none.
func (j *Journal) taken(p Peer) string {
	for _, m := range j.Members() {
		if m.Address == p.Address && m.Member != p.Member {
			return m.Member
		}
	}
	return ""
}

// ended gives an error of raft the name that the contract has for it.
func ended(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress), errors.Is(err, raft.ErrEnqueueTimeout):
		return refused(err)
	case errors.Is(err, journal.ErrFatal):
		return err
	default:
		return unknown(err)
	}
}

// moveAlone tells the log the address of a member that was alone, and under none.
func (j *Journal) moveAlone() {
	self, is := j.member(j.cfg.Member)
	address := j.cfg.Transport.LocalAddr()
	if !is || j.alone || self.Address == string(address) || !j.votesAlone() {
		return
	}
	if err := j.await(j.raft.AddVoter(raft.ServerID(j.cfg.Member), address, 0, 2*j.cfg.WriteDeadline)); err != nil {
		j.log.WarnContext(j.stopped, "Other members cannot learn the address of this one yet", "address", string(address), "err", err)
	}
}
