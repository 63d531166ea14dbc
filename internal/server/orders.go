package server

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ldlm-io/ldlm/internal/audit"
	"github.com/ldlm-io/ldlm/internal/cluster"
)

// operatorWithin bounds what operators ask for.
const operatorWithin = 10 * time.Second

// What operators order, in the words of the audit log.
const (
	orderTransfer = "hand the lead over"
	orderRemove   = "remove"
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
