package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/audit"
	"github.com/ldlm-io/ldlm/internal/cluster"
	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/journal/raftlog"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/node"
)

// Members say how a server is one of several. It needs a data directory.
type Members struct {
	// Listener is the port for other members. The server closes it, even if it does
	// not start.
	Listener net.Listener
	// Advertise is where other members reach it.
	Advertise string
	// Name of this member. Default: that of the data directory, or "local".
	Name string
	// First are the addresses of the members, by name, that a new cluster begins with,
	// this one among them. Default: this one.
	First map[string]string
	// Join is the address of any member of the cluster to join; "" joins none.
	Join string
	// Files are the certificates of this member. Default: plain text.
	Files cluster.Files
	// Clients is where clients reach this member, as other members tell theirs.
	Clients string
}

// Times of members that have others, which go together: the lease of a member is 1.12
// times two beats, a write to the slowest disk and an election.
const (
	memberLease  = 7 * time.Second
	settleWithin = 4250 * time.Millisecond
)

// membership is a server's part in a cluster.
type membership struct {
	config  Members
	version string
	log     *slog.Logger
	audit   *audit.Log
	port    *cluster.Port
	fresh   bool // there was no data yet
	cluster string
	ctx     context.Context
	end     context.CancelFunc
	tasks   sync.WaitGroup

	// Set by begin, before begun is closed.
	begun   chan struct{}
	journal *raftlog.Journal
	node    *node.Node

	// removed says that this member was taken out, for who asks how it is.
	removed atomic.Bool

	mu  sync.Mutex
	met map[string]*acquaintance // other members, by name
	// moved is told when clients reach another member elsewhere; room for one.
	moved chan struct{}
}

// openMembership opens the members' port and finds out which cluster it is.
func openMembership(c *Config) (*membership, error) {
	m := &membership{config: *c.Members, version: c.Version, log: c.Logger, audit: c.Audit, begun: make(chan struct{}),
		met: map[string]*acquaintance{}, moved: make(chan struct{}, 1)}
	id, name, err := raftlog.Whose(c.DataDir)
	if err != nil {
		_ = m.config.Listener.Close() // nothing came over it
		return nil, err
	}
	m.fresh = name == ""
	if m.config.Name == "" {
		m.config.Name = name
	}
	if m.config.Name == "" {
		m.config.Name = "local"
	}
	m.cluster = id
	if at := m.config.Join; at != "" && (at == m.config.Advertise || at == m.config.Listener.Addr().String()) {
		_ = m.config.Listener.Close() // nothing came over it
		return nil, fmt.Errorf("cluster_join %s: this is the address of this member itself: name that of a member that runs; "+
			"the first member of a cluster is started without cluster_join", at)
	}
	if m.fresh && len(m.config.First) > 0 {
		m.cluster = identityOf(m.config.First)
	}
	m.port, err = cluster.Open(cluster.Config{
		Listener: m.config.Listener, Advertise: m.config.Advertise, Member: m.config.Name, Cluster: m.cluster,
		Files: m.config.Files, Logger: c.Logger,
	})
	if err != nil {
		return nil, err
	}
	m.ctx, m.end = context.WithCancel(context.Background())
	if m.fresh && m.config.Join != "" {
		if err := m.meet(); err != nil {
			m.close()
			return nil, err
		}
	}
	return m, nil
}

// identityOf is the identity of a cluster that begins with these members.
func identityOf(first map[string]string) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(first)) {
		fmt.Fprintf(h, "%s=%s\n", name, first[name])
	}
	const size = 8
	return hex.EncodeToString(h.Sum(nil)[:size])
}

// meetWithin is how long a member that joins looks for the cluster.
const meetWithin = 10 * time.Second

// meet learns which cluster is to be joined.
func (m *membership) meet() error {
	ctx, cancel := context.WithTimeout(m.ctx, meetWithin)
	defer cancel()
	for {
		id, who, err := m.port.Meet(ctx, m.config.Join)
		switch {
		case err == nil && id != "":
			m.cluster = id
			m.port.Belong(id)
			m.log.InfoContext(ctx, "Found the cluster to join", "cluster", id, "member", who)
			return nil
		case err == nil:
			err = fmt.Errorf("member %q does not know its cluster yet", who)
		}
		t := time.NewTimer(200 * time.Millisecond)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return fmt.Errorf("cluster_join %s: no member took this one in: %w: "+
				"name the members' address (cluster_advertise_address) of a member that runs, as \"ldlm cluster status\" shows it", m.config.Join, err)
		}
	}
}

// journalConfig completes the configuration of the journal.
func (m *membership) journalConfig(c raftlog.Config) raftlog.Config {
	c.Member, c.Cluster = m.config.Name, m.cluster
	c.Streams, c.Courier = m.port.Streams(), courier{m.port}
	c.Join = m.config.Join != ""
	c.Introduce = func(r *raftlog.Roll) { m.port.Introduce(r) }
	for _, name := range slices.Sorted(maps.Keys(m.config.First)) {
		c.Peers = append(c.Peers, raftlog.Peer{Member: name, Address: m.config.First[name]})
	}
	return c
}

// nodeConfig completes the configuration of the node.
func (m *membership) nodeConfig(c node.Config) node.Config {
	c.Member, c.Shared, c.SettleWithin = m.config.Name, true, settleWithin
	c.Settings.MemberLease = lock.Duration(memberLease.Microseconds())
	c.Peers = m.peers
	return c
}

// courier is the port as the journal wants it.
type courier struct{ port *cluster.Port }

// Ask implements [raftlog.Courier].
func (c courier) Ask(ctx context.Context, of raftlog.Peer, question []byte) ([]byte, error) {
	answer, err := c.port.Ask(ctx, of.Member, of.Address, cluster.TopicJournal, question)
	if errors.Is(err, cluster.ErrNotAsked) {
		return nil, fmt.Errorf("%w: %w", journal.ErrRefused, err)
	}
	return answer, err
}

// begin answers other members, joins them if asked to, and has clients told who leads.
func (m *membership) begin(j *raftlog.Journal, n *node.Node, tell func(*ldlmv2.Leader)) {
	m.journal, m.node = j, n
	close(m.begun)
	m.port.Belong(j.Cluster())
	m.port.Handle(cluster.TopicReport, func(_ context.Context, b []byte) []byte { return m.report(b) })
	m.port.Handle(cluster.TopicJournal, j.Serve)
	m.port.Handle(cluster.TopicStatus, func(ctx context.Context, _ []byte) []byte { return m.status(ctx) })
	m.port.Handle(cluster.TopicLead, func(ctx context.Context, b []byte) []byte { return m.asked(ctx, orderTransfer, b, j.Transfer) })
	m.port.Handle(cluster.TopicAdmit, func(ctx context.Context, b []byte) []byte { return m.asked(ctx, orderAdmit, b, m.admit) })
	m.port.Handle(cluster.TopicRemove, func(ctx context.Context, b []byte) []byte { return m.asked(ctx, orderRemove, b, m.remove) })
	if m.config.Join != "" {
		m.tasks.Go(m.join)
	}
	m.warnIfMoved()
	tell(m.leader()) // until somebody is known to lead, nobody does
	m.tasks.Go(m.stayAcquainted)
	m.tasks.Go(func() { m.tellLeaders(tell) })
	m.tasks.Go(m.watchCertificates)
}

// join joins the members, or tells them the present address of one that has.
func (m *membership) join() {
	if err := m.journal.Join(m.ctx, raftlog.Peer{Address: m.config.Join}); err != nil {
		if m.ctx.Err() == nil {
			m.log.ErrorContext(m.ctx, "This member could not join the others", "at", m.config.Join, "err", err)
		}
		return
	}
	m.log.InfoContext(m.ctx, "This member has a vote", "member", m.config.Name)
}

// warnIfMoved says that the other members look for this one elsewhere.
func (m *membership) warnIfMoved() {
	if m.config.Join != "" || m.journal.VotesAlone() {
		return // it tells them, or itself
	}
	for _, x := range m.journal.Members() {
		if x.Member == m.config.Name && x.Address != m.config.Advertise {
			m.log.ErrorContext(m.ctx, "The other members know this one under another address, and do not reach it here",
				"member", m.config.Name, "known", x.Address, "cluster_advertise_address", m.config.Advertise,
				"fix", "start it with that address, or once with cluster_join and the address of another member, which tells them the new one")
		}
	}
}

// remove makes a member none any more, also for the table of locks. It must be another one:
// whoever is none any more can change nothing.
func (m *membership) remove(ctx context.Context, name string) error {
	if name == m.config.Name {
		return fmt.Errorf("a member is taken out by another one: ask %s", m.anotherOne())
	}
	if err := m.journal.Remove(ctx, name); err != nil {
		return err
	}
	if err := m.node.EndMember(ctx, name); err != nil {
		return fmt.Errorf("%s is no member any more, but its clients' sessions go on until its lease has ended (%v at most): %w", name, memberLease, err)
	}
	return nil
}

// anotherOne names a member that can be asked to take this one out.
func (m *membership) anotherOne() string {
	for _, x := range m.journal.Members() {
		if x.Votes && x.Member != m.config.Name {
			return fmt.Sprintf("%s (--member %s)", x.Member, x.Address)
		}
	}
	return "one that joined; this is the only one, and without it there is no cluster"
}

// noteEvery is how often a member looks at what has no channel to tell of.
const noteEvery = time.Second

// tellLeaders has clients told who leads, and where all members are.
func (m *membership) tellLeaders(tell func(*ldlmv2.Leader)) {
	var last, awaited string
	var seen []string
	// A directory with members in it and not this one is that of a member that was removed. With
	// cluster_join the others say so.
	belonged, told := m.config.Join == "" && len(m.journal.Members()) > 0, false
	for {
		changed := m.journal.Changed()
		switch belongs := m.belongs(); {
		case belongs && !m.disowned():
			belonged, told = true, false
		case (belongs || belonged) && !told:
			told = true
			m.noteRemoved(belongs)
		}
		m.removed.Store(told)
		seen, awaited = m.noteMembers(seen), m.noteAwaited(awaited)
		l := m.leader()
		if now := fmt.Sprint(l.GetAddress(), l.GetSelf(), l.GetKnown(), l.GetMembers()); now != last {
			tell(l)
			last = now
		}
		t := time.NewTimer(noteEvery)
		select {
		case <-changed:
		case <-m.moved:
		case <-t.C:
		case <-m.ctx.Done():
			t.Stop()
			return
		}
		t.Stop()
	}
}

// noteRemoved says that this member was removed, and sends its clients elsewhere. If it was not
// told but has learned it from the others, its lease has ended, and it has no clients any more.
func (m *membership) noteRemoved(listed bool) {
	m.log.ErrorContext(m.ctx, "This member was removed from the cluster: it refuses everything. End it; to come back it needs an empty data directory, another name and cluster_join",
		"member", m.config.Name)
	if !listed {
		m.node.Dismiss()
	}
}

// noteAwaited says for whom this member of a new cluster waits, if that is not what it said last.
func (m *membership) noteAwaited(last string) string {
	now := strings.Join(m.journal.Roll().Awaits(), ", ")
	if now != last && now != "" {
		m.log.WarnContext(m.ctx, "The new cluster begins when all its members have met: start them all", "member", m.config.Name, "waits_for", now)
	}
	return now
}

// belongs reports whether this is a member, as far as it knows.
func (m *membership) belongs() bool {
	return slices.ContainsFunc(m.journal.Members(), func(x raftlog.Member) bool { return x.Member == m.config.Name })
}

// leader is who leads, in the words of the protocol.
func (m *membership) leader() *ldlmv2.Leader {
	l := &ldlmv2.Leader{}
	who, known := m.journal.Leader()
	if l.Known = known; known {
		l.Self = who.Member == m.config.Name
		if !l.GetSelf() {
			l.Address = m.clientsOf(who.Member)
		}
	}
	for _, x := range m.journal.Members() {
		if address := m.clientsOf(x.Member); address != "" {
			l.Members = append(l.Members, address)
		}
	}
	return l
}

// close ends the part in the cluster. It is for after the journal is closed.
func (m *membership) close() {
	m.end()
	m.port.Close()
	m.tasks.Wait()
}

// ParseMembers reads the list of a new cluster's members: NAME=HOST:PORT, with commas
// between.
func ParseMembers(list string) (map[string]string, error) {
	first := map[string]string{}
	for item := range strings.SplitSeq(list, ",") {
		name, address, err := parseMember(strings.TrimSpace(item))
		if err != nil {
			return nil, err
		}
		for other, taken := range first {
			if other == name || taken == address {
				return nil, fmt.Errorf("members %q and %q have the same name or address", other, name)
			}
		}
		first[name] = address
	}
	return first, nil
}

// parseMember reads a member: NAME=HOST:PORT.
func parseMember(text string) (name, address string, err error) {
	name, address, found := strings.Cut(text, "=")
	if !found {
		return "", "", fmt.Errorf("%q is no member: a member is NAME=HOST:PORT", text)
	}
	if err := cluster.CheckName(name); err != nil {
		return "", "", err
	}
	if host, _, err := net.SplitHostPort(address); err != nil || host == "" {
		return "", "", fmt.Errorf("%q is no address that others can reach: a member is NAME=HOST:PORT", address)
	}
	return name, address, nil
}
