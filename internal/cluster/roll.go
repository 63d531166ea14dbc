package cluster

import (
	"errors"
	"time"
)

// A Roll knows the members and their directories. It must be safe for concurrent use.
type Roll interface {
	// Self is the identity of this member's directory.
	Self() string
	// Of returns what is known of a member: its directory, and an entry that it certainly had.
	Of(member string) (directory string, entry uint64)
	// Meet is asked before anything else is said to a member, or heard from it; an error says why
	// it must not be. speaks says that the connection is the journals'.
	Meet(member, directory string, speaks bool) error
	// Hear is told what another member knows of this one. An error says that this one is not
	// who it should be.
	Hear(by, directory string, entry uint64) error
}

// Introduce sets who the members are. Until then other members wait for the answer to
// their hello, and the journal's connections wait to be made.
func (p *Port) Introduce(r Roll) {
	p.roll = r
	close(p.known)
}

var errNotBegun = errors.New("the member is starting: it will be ready soon")

// introduced waits for the roll.
func (p *Port) introduced(within time.Duration) error {
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case <-p.known:
		return nil
	case <-t.C:
		return errNotBegun
	case <-p.ctx.Done():
		return errClosed
	}
}

// register returns the roll, nil if there is none yet, or none at all as for an operator.
func (p *Port) register() Roll {
	select {
	case <-p.known:
		return p.roll
	default:
		return nil
	}
}

// cards are what this member says of itself and of another one.
func (p *Port) cards(of string) (self string, known card) {
	r := p.register()
	if r == nil {
		return "", card{}
	}
	known.directory, known.entry = r.Of(of)
	return r.Self(), known
}

// hear takes notice of what another member knows of this one.
func (p *Port) hear(by string, known card) error {
	if r := p.register(); r != nil {
		return r.Hear(by, known.directory, known.entry)
	}
	return nil
}

// acquaint compares what two members know of each other with who they are.
func (p *Port) acquaint(purpose byte, member, directory string, known card) error {
	r := p.register()
	if r == nil {
		return nil
	}
	if err := r.Hear(member, known.directory, known.entry); err != nil {
		return err
	}
	return r.Meet(member, directory, purpose == forJournal)
}
