package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/cluster"
	"github.com/ldlm-io/ldlm/internal/journal/raftlog"
)

// An acquaintance is what another member last said of itself.
type acquaintance struct {
	said  cluster.Status
	heard time.Time     // zero: it has never said anything
	clock time.Duration // by how much its clock of the wall is ahead of this member's
	lead  int64         // how many entries it had applied when it was heard that this member had not
	err   error         // of the newest question, if there was no answer
	// since is when it began not to answer, zero if it does; told says that the log has it.
	since time.Time
	told  bool
}

// Other members are asked how they are every so often, and are given so long to answer.
const (
	acquaintEvery  = time.Second
	acquaintWithin = time.Second
)

// stayAcquainted asks the others how they are, until the server ends.
func (m *membership) stayAcquainted() {
	t := time.NewTicker(acquaintEvery)
	defer t.Stop()
	for {
		m.meetAll(m.ctx)
		select {
		case <-t.C:
		case <-m.ctx.Done():
			return
		}
	}
}

// meetAll asks all others how they are.
func (m *membership) meetAll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, acquaintWithin)
	defer cancel()
	var asking sync.WaitGroup
	for _, x := range m.journal.Members() {
		if x.Member != m.config.Name {
			asking.Go(func() { m.meetOne(ctx, x.Peer) })
		}
	}
	asking.Wait()
}

var errStarting = errors.New("it is still starting")

// meetOne asks another member how it is.
func (m *membership) meetOne(ctx context.Context, x raftlog.Peer) {
	asked := time.Now()
	answer, err := m.port.Ask(ctx, x.Member, x.Address, cluster.TopicStatus, nil)
	now := acquaintance{heard: time.Now(), err: err}
	if err == nil && json.Unmarshal(answer, &now.said) != nil {
		now.err = errStarting
	}
	if now.err == nil {
		m.journal.Roll().Note(x.Member, now.said.Entry)
		now.lead = int64(now.said.Entry - m.journal.AppliedEntry()) // either may be the larger one
	}
	if now.err == nil && !now.said.Time.IsZero() {
		now.clock = now.said.Time.Sub(asked.Add(now.heard.Sub(asked) / 2))
	}
	m.remember(x.Member, now)
}

// remember keeps what another member has said, and why it says nothing.
func (m *membership) remember(member string, now acquaintance) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.met[member]
	if before == nil {
		before = &acquaintance{}
	}
	if now.err != nil {
		now.said, now.heard, now.clock, now.lead = before.said, before.heard, before.clock, before.lead
	}
	m.noteSilence(member, before, &now)
	if m.met[member] = &now; now.said.Clients != before.said.Clients {
		select {
		case m.moved <- struct{}{}:
		default: // it will look anyway
		}
	}
}

// silentFor is how long another member does not answer before the log says so.
const silentFor = 3 * time.Second

// noteSilence says once that another member does not answer, and why, and once that it does
// again. mu is held.
func (m *membership) noteSilence(member string, before, now *acquaintance) {
	switch {
	case now.err == nil && before.told:
		m.log.InfoContext(m.ctx, "Another member answers again", "member", member)
	case now.err == nil || m.ctx.Err() != nil:
	case before.since.IsZero():
		now.since = time.Now()
	default:
		now.since, now.told = before.since, before.told
		if !now.told && time.Since(now.since) >= silentFor {
			now.told = true
			m.log.WarnContext(m.ctx, "Another member does not answer", "member", member, "err", withoutNotAsked(now.err))
		}
	}
}

// disowned reports whether another member, which knows who leads and is not behind this one,
// has it in its list no more: this one was removed while it was cut off. It is asked only
// while this one does not know who leads.
func (m *membership) disowned() bool {
	own := m.journal.AppliedEntry()
	if _, known := m.journal.Leader(); known || own == 0 {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.met {
		if a.err == nil && disowns(&a.said, m.config.Name, own) {
			return true
		}
	}
	return false
}

// disowns reports whether what a member says of itself means that the one of a name, which has
// applied the log up to an entry, is a member no more.
func disowns(said *cluster.Status, name string, own uint64) bool {
	return said.Leader != "" && said.Entry > own &&
		!slices.ContainsFunc(said.Members, func(i cluster.Info) bool { return i.Member == name })
}

// clientsOf is where clients reach a member, "" if that is not known.
func (m *membership) clientsOf(member string) string {
	if member == m.config.Name {
		return m.config.Clients
	}
	return m.acquaintance(member).said.Clients
}

// acquaintance is what is known of another member, nothing if it was not met.
func (m *membership) acquaintance(member string) acquaintance {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.met[member]; a != nil {
		return *a
	}
	return acquaintance{}
}

// status is how this member sees the cluster, as JSON. An operator is told how the others
// are now, another member how they were when they were last asked.
func (m *membership) status(ctx context.Context) []byte {
	if cluster.WhoAsks(ctx).Member == "" {
		m.meetAll(ctx)
	}
	b, err := json.Marshal(m.view(time.Now()))
	if err != nil {
		return nil // there is nothing in it that could not be written
	}
	return b
}

// view is how this member sees the cluster.
func (m *membership) view(now time.Time) *cluster.Status {
	s := m.journal.Status()
	v := &cluster.Status{
		Cluster: s.Cluster, Member: s.Member, Version: m.version, Level: m.node.Report(0).Level, Clients: m.config.Clients,
		Leader: s.Leader, Term: s.Term, Applied: s.Applied, Entry: s.AppliedEntry, Time: now.Round(0), Awaits: m.journal.Roll().Awaits(),
	}
	v.Format, v.Compared = m.node.Agreed()
	// Files that cannot be read are told in the log.
	v.CertificateUntil, _ = m.config.Files.Expires()
	select {
	case <-m.node.Begun():
		v.Joined = true
	default:
	}
	v.Members, v.Removed = m.infos(v, now), m.disowned()
	return v
}

// infos is what this member, which says own of itself, knows of each.
func (m *membership) infos(own *cluster.Status, now time.Time) []cluster.Info {
	var all []cluster.Info
	var leads []int64
	newest := int64(0)
	for _, x := range m.journal.Members() {
		i, lead := cluster.Info{Member: x.Member, Address: x.Address, Votes: x.Votes}, int64(0)
		if x.Member == m.config.Name {
			none := int64(0)
			i.Answers, i.HeardMS, i.Version, i.Level, i.Entry, i.CertificateUntil = true, &none, own.Version, own.Level, own.Entry, own.CertificateUntil
		} else {
			a := m.acquaintance(x.Member)
			a.tell(&i, now)
			lead = a.lead
		}
		all, leads, newest = append(all, i), append(leads, lead), max(newest, lead)
	}
	for k := range all {
		all[k].Behind = uint64(newest - leads[k])
	}
	return all
}

// forClients is what clients are told of the members: how they were when this one last asked.
func (m *membership) forClients() []*ldlmv2.ServerMember {
	select {
	case <-m.begun:
	default:
		return nil
	}
	var all []*ldlmv2.ServerMember
	leader, _ := m.journal.Leader()
	for _, i := range m.infos(&cluster.Status{Version: m.version}, time.Now()) {
		if i.Member == m.config.Name && m.removed.Load() {
			continue // its own list does not know it yet
		}
		x := &ldlmv2.ServerMember{
			Name: i.Member, Address: i.Address, Votes: i.Votes, Leads: i.Member == leader.Member,
			Answers: i.Answers, Version: i.Version, EntriesBehind: i.Behind,
		}
		if i.HeardMS != nil {
			x.LastHeardUs = new(*i.HeardMS * 1000)
		}
		all = append(all, x)
	}
	return all
}

// tell completes what is said of a member.
func (a acquaintance) tell(i *cluster.Info, now time.Time) {
	switch {
	case errors.Is(a.err, context.DeadlineExceeded):
		i.Silence = fmt.Sprintf("no answer within %v", acquaintWithin)
	case a.err != nil:
		i.Silence = withoutNotAsked(a.err)
	}
	if a.heard.IsZero() {
		return
	}
	ago := now.Sub(a.heard).Milliseconds()
	i.Answers, i.HeardMS, i.Version, i.Level, i.Entry = a.err == nil, &ago, a.said.Version, a.said.Level, a.said.Entry
	i.ClockMS, i.CertificateUntil = a.clock.Milliseconds(), a.said.CertificateUntil
}

// withoutNotAsked is why a question was not answered; that it was not asked goes without saying.
func withoutNotAsked(err error) string {
	return strings.TrimPrefix(err.Error(), cluster.ErrNotAsked.Error()+": ")
}
