package cli

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ldlm-io/ldlm/internal/cluster"
	"github.com/ldlm-io/ldlm/internal/server"
)

// examineMembers looks at what a member of a cluster needs, and asks the others.
func (d *doctor) examineMembers(ctx context.Context, serverRuns bool) {
	s := d.settings
	if s.ClusterListenAddress == "" && s.ClusterMembers == "" && s.ClusterJoin == "" {
		return
	}
	m, err := membersOf(s)
	if err != nil {
		d.say("members", verdictWrong, err.Error())
		return
	}
	address := withPort(s.ClusterListenAddress)
	if address == "" {
		address = m.Advertise
	}
	d.examinePort(ctx, "cluster_listen_address", address, serverRuns)
	d.examineMemberCertificate(m, time.Now())
	others := maps.Clone(m.First)
	delete(others, m.Name)
	if m.Join != "" {
		others = map[string]string{"": m.Join} // of whatever name
	}
	if serverRuns {
		d.askOwn(ctx, m)
	}
	d.askMembers(ctx, m.Files, others)
}

// askOwn asks the member that runs here how it sees the cluster.
func (d *doctor) askOwn(ctx context.Context, m *server.Members) {
	ctx, cancel := context.WithTimeout(ctx, memberPatience)
	defer cancel()
	own := &clusterAsker{at: m.Advertise, files: m.Files}
	s, err := own.status(ctx)
	if err != nil {
		d.say("members", verdictWrong, err.Error())
		return
	}
	for _, f := range examineCluster(s, time.Now()) {
		d.say(f.Check, f.Verdict, f.Text)
	}
}

// memberPatience is how long a member is given to answer.
const memberPatience = 3 * time.Second

// examineMemberCertificate looks at this member's certificate.
func (d *doctor) examineMemberCertificate(m *server.Members, now time.Time) {
	if !m.Files.Given() {
		d.say("members", verdictNote, "members speak in plain text, and whoever reaches their port can be one: cluster_ca, cluster_cert, cluster_key")
		return
	}
	if m.Name != "" {
		if err := m.Files.Check(m.Name); err != nil {
			d.say("members", verdictWrong, err.Error())
			return
		}
	}
	pair, err := tls.LoadX509KeyPair(m.Files.Certificate, m.Files.Key)
	if err != nil {
		d.say("members", verdictWrong, err.Error())
		return
	}
	d.examineTime("members", m.Files.Certificate, pair.Certificate[0], now)
}

// askMembers asks other members how they see the cluster.
func (d *doctor) askMembers(ctx context.Context, files cluster.Files, others map[string]string) {
	port, err := cluster.Open(cluster.Config{Files: files})
	if err != nil {
		d.say("members", verdictWrong, err.Error())
		return
	}
	defer port.Close()
	for _, name := range slices.Sorted(maps.Keys(others)) {
		ctx, cancel := context.WithTimeout(ctx, memberPatience)
		answer, err := port.Ask(ctx, name, others[name], cluster.TopicStatus, nil)
		cancel()
		var s cluster.Status
		switch {
		case err != nil:
			d.say("members", verdictNote, fmt.Sprintf("member %s at %s does not answer: %v", name, others[name], err))
		case json.Unmarshal(answer, &s) != nil:
			d.say("members", verdictNote, others[name]+" answers, and is still starting")
		case s.Leader == "":
			d.say("members", verdictWrong, fmt.Sprintf("member %s at %s reaches nobody who leads: a majority must run and reach each other", s.Member, others[name]))
		default:
			d.say("members", verdictOK, fmt.Sprintf("member %s at %s answers, version %s; %s leads", s.Member, others[name], s.Version, s.Leader))
		}
	}
}
