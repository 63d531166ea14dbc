package server_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ldlm-io/ldlm/internal/cluster"
	"github.com/ldlm-io/ldlm/internal/server"
)

// asOperator asks members as one does.
func asOperator(t *testing.T) *cluster.Port {
	t.Helper()
	port, err := cluster.Open(cluster.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(port.Close)
	return port
}

// statusOf asks a member how it sees the cluster.
func statusOf(t *testing.T, port *cluster.Port, m *member) cluster.Status {
	t.Helper()
	var s cluster.Status
	answer, err := port.Ask(t.Context(), "", m.address, cluster.TopicStatus, nil)
	if err == nil {
		err = json.Unmarshal(answer, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// infoOf is what a status says of a member.
func infoOf(s cluster.Status, name string) cluster.Info {
	for _, m := range s.Members {
		if m.Member == name {
			return m
		}
	}
	return cluster.Info{}
}

// awaitVote waits until a member has a vote, as another one sees it.
func awaitVote(t *testing.T, port *cluster.Port, at *member, name, address string) {
	t.Helper()
	for i := infoOf(statusOf(t, port, at), name); !i.Votes || i.Address != address; i = infoOf(statusOf(t, port, at), name) {
		<-time.After(20 * time.Millisecond)
	}
}

// nobodyAt is an address where no member is.
const nobodyAt = "127.0.0.1:1"

// An operator makes members known. Whoever cannot be one is refused with the reason, and nothing
// has changed.
func TestAdmit(t *testing.T) {
	port := asOperator(t)
	a := startMember(t, "a", listen(t), func(*server.Members) {})
	<-a.Node().Begun()
	other := startMember(t, "z", listen(t), func(*server.Members) {}) // alone
	admit := func(text, refusal string) {
		t.Helper()
		answer, err := port.Ask(t.Context(), "", a.address, cluster.TopicAdmit, []byte(text))
		if err != nil || (len(answer) > 0) != (refusal != "") || !strings.Contains(string(answer), refusal) {
			t.Errorf("%s: %q, %v, want %q", text, answer, err, refusal)
		}
	}
	admit("b="+nobodyAt, "") // it is to be started yet
	if i := infoOf(statusOf(t, port, a), "b"); i.Votes || i.Address != nobodyAt || i.Answers || i.Silence == "" {
		t.Errorf("who was made known: %+v", i)
	}
	admit("b="+nobodyAt, "")
	admit("x="+nobodyAt, `is that of member "b"`)
	admit("x="+a.address, `this is member "a"`)
	admit("z="+other.address, "belongs to one cluster for ever")
	admit("nonsense", "NAME=HOST:PORT")
	admit("x=no host:3147", "was not made a member")
	if n := len(statusOf(t, port, a).Members); n != 2 {
		t.Errorf("%d members", n)
	}

	b := startMember(t, "b", listen(t), func(c *server.Members) { c.Join = a.address })
	awaitVote(t, port, a, "b", b.address)
	admit("b="+b.address, "")
	admit("b=127.0.0.1:2", "start b there first")
	if answer, err := port.Ask(t.Context(), "", a.address, cluster.TopicRemove, []byte("b")); err != nil || len(answer) > 0 {
		t.Fatalf("%s, %v", answer, err)
	}
	admit("b="+b.address, "a name that was never used")
}

// A member that joins again, at another address, is the same one, and keeps its vote. The
// others are a majority without it, which it takes to tell them.
func TestJoinTwice(t *testing.T) {
	port := asOperator(t)
	a := startMember(t, "a", listen(t), func(*server.Members) {})
	<-a.Node().Begun()
	c := startMember(t, "c", listen(t), func(c *server.Members) { c.Join = a.address })
	awaitVote(t, port, a, "c", c.address)
	dir := filepath.Join(memoryDir(t), "b")
	for range 2 {
		b := startMemberIn(t, dir, "b", listen(t), func(c *server.Members) { c.Join = a.address })
		awaitVote(t, port, a, "b", b.address)
		if n := len(statusOf(t, port, a).Members); n != 3 {
			t.Errorf("%d members", n)
		}
		b.end(t)
	}
}

// A member that is asked tells who answers, who does not, and how far each is.
func TestStatusOfMembers(t *testing.T) {
	port := asOperator(t)
	all := startThree(t)
	_, others := parted(t, all)
	gone, asked := others[0], others[1]
	silent := func(m cluster.Info) bool { return !m.Answers }
	s := statusOf(t, port, asked)
	for slices.ContainsFunc(s.Members, silent) { // it may take longer than is waited for
		s = statusOf(t, port, asked)
	}
	for _, m := range s.Members {
		if !m.Votes || m.HeardMS == nil || m.Level == 0 || m.Silence != "" {
			t.Errorf("%+v", m)
		}
	}
	gone.end(t)
	if i := infoOf(statusOf(t, port, asked), gone.name); i.Answers || i.Silence == "" || i.HeardMS == nil {
		t.Errorf("who has gone: %+v", i)
	}
}
