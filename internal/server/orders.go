package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/ldlm-io/ldlm/internal/audit"
	"github.com/ldlm-io/ldlm/internal/cluster"
	"github.com/ldlm-io/ldlm/internal/journal/raftlog"
)

// operatorWithin bounds what operators ask for.
const operatorWithin = 10 * time.Second

// What operators order, in the words of the audit log.
const (
	orderTransfer = "hand the lead over"
	orderRemove   = "remove"
	orderAdmit    = "join"
)

// membershipNote is how a cluster is, before and after an order.
type membershipNote struct {
	Leader  string   `json:"leader,omitempty"`
	Members []string `json:"members"`
}

// asked does what an operator asks for, writes down who it was, and says what came of
// it.
func (m *membership) asked(ctx context.Context, order string, name []byte, do func(context.Context, string) error) []byte {
	ctx, cancel := context.WithTimeout(ctx, operatorWithin)
	defer cancel()
	if len(name) > 0 {
		order += " " + string(name)
	}
	e := audit.Entry{Action: audit.Membership, Actor: actorOf(cluster.WhoAsks(ctx)), Reason: order, Before: m.note()}
	err := do(ctx, string(name))
	if err != nil {
		e.Error = err.Error()
	} else {
		e.After = m.note()
	}
	m.audit.Add(e)
	if err != nil {
		return []byte(err.Error())
	}
	return []byte{}
}

// admit makes a member known to the others, as one without a vote, or tells them where one
// is now that they know. Whoever answers at its address must be it; a new one need not run
// yet.
func (m *membership) admit(ctx context.Context, order string) error {
	name, address, err := parseMember(order)
	if err != nil {
		return err
	}
	now, known := "", false
	for _, x := range m.journal.Members() {
		if x.Member == name {
			now, known = x.Address, true
		}
	}
	switch directory, _ := m.journal.Roll().Of(name); {
	case now == address:
		return nil
	case !known && directory != "":
		return fmt.Errorf("there was a member %q before, and a name belongs to its first data directory for ever: take a name that was never used", name)
	}
	if name != m.config.Name {
		err = m.look(ctx, name, address)
	}
	switch {
	case err == nil || isNobody(err) && !known: // then it is to be started yet
		return m.journal.Admit(ctx, raftlog.Peer{Member: name, Address: address})
	case isNobody(err):
		return fmt.Errorf("%w: start %s there first, and then tell the others", err, name)
	default:
		return fmt.Errorf("%w: %q was not made a member; all members must reach it under this address", err, name)
	}
}

// isNobody reports whether an error says that nobody answers at an address. A name that
// does not resolve is no address.
func isNobody(err error) bool {
	dial, unknown := (*net.OpError)(nil), (*net.DNSError)(nil)
	return errors.As(err, &dial) && dial.Op == "dial" && !errors.As(err, &unknown)
}

// lookWithin is how long it may take to find out who is at an address.
const lookWithin = 5 * time.Second

// look makes sure that nobody but this member answers at an address.
func (m *membership) look(ctx context.Context, name, address string) error {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	of, who, err := m.port.Meet(ctx, address)
	switch {
	case err != nil:
		return err
	case who != name:
		return fmt.Errorf("member %q is at %s, and not %q: give each member a name and an address of its own", who, address, name)
	case of != m.journal.Cluster() && of != "":
		return fmt.Errorf("member %q at %s belongs to cluster %s: to join this one it needs an empty data directory, and is started with cluster_join", who, address, of)
	}
	return nil
}

// actorOf is who asks, as the audit log has it.
func actorOf(who cluster.Asker) audit.Actor {
	a := audit.Actor{Via: "members", Remote: who.Remote}
	if who.Certificate != "" {
		a.Name = "certificate:" + who.Certificate
	}
	return a
}

// note is how the cluster is, as this member knows it.
func (m *membership) note() membershipNote {
	n := membershipNote{Members: m.names()}
	if who, known := m.journal.Leader(); known {
		n.Leader = who.Member
	}
	return n
}

// names are the members; one without a vote says so.
func (m *membership) names() []string {
	var all []string
	for _, x := range m.journal.Members() {
		name := x.Member
		if !x.Votes {
			name += " (no vote yet)"
		}
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// noteMembers writes down that members have come, or have got a vote, on the member
// that leads. It returns the members as they are, for the next time.
func (m *membership) noteMembers(before []string) []string {
	now := m.names()
	who, known := m.journal.Leader()
	if before == nil || !known || who.Member != m.config.Name {
		return now
	}
	var came []string
	for _, name := range now {
		if !slices.Contains(before, name) {
			came = append(came, name)
		}
	}
	if len(came) > 0 {
		m.audit.Add(audit.Entry{
			Action: audit.Membership, Actor: audit.Actor{Via: "members"}, Reason: "joined: " + strings.Join(came, ", "),
			Before: membershipNote{Members: before}, After: m.note(),
		})
	}
	return now
}
