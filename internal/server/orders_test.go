package server_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ldlm-io/ldlm/internal/audit"
	"github.com/ldlm-io/ldlm/internal/cluster"
	"github.com/ldlm-io/ldlm/internal/server"
)

// order asks a member to do something, as an operator does, and returns its objection.
func order(t *testing.T, m *member, topic byte, name string) string {
	t.Helper()
	port, err := cluster.Open(cluster.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	answer, err := port.Ask(t.Context(), "", m.address, topic, []byte(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// Who joins, who is removed and to whom the lead was to be handed is written down on
// the member that leads, or was asked: from where, before and after, and what did not
// come of it.
func TestMembershipIsAudited(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	log, err := audit.Open(path, io.Discard, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	port, clients := listen(t), listen(t)
	s, err := server.Start(server.Config{
		Listener: clients, DataDir: filepath.Join(t.TempDir(), "a"), RestartLease: time.Minute, Audit: log,
		Members: &server.Members{Listener: port, Advertise: port.Addr().String(), Name: "a", Clients: clients.Addr().String()},
	})
	if err != nil {
		t.Fatal(err)
	}
	a := &member{Server: s, name: "a", address: port.Addr().String(), clients: clients.Addr().String()}
	t.Cleanup(func() { a.end(t) })
	b := startMember(t, "b", listen(t), func(c *server.Members) { c.Join = a.address })
	awaitEntry(t, path, `"reason":"joined: b"`)
	if said := order(t, a, cluster.TopicLead, "nobody"); said == "" {
		t.Error("the lead was handed to nobody")
	}
	if said := order(t, b, cluster.TopicRemove, "b"); !strings.Contains(said, "by another one") || !strings.Contains(said, a.address) {
		t.Errorf("a member that is to take itself out says %q", said)
	}
	if said := order(t, a, cluster.TopicRemove, "b"); said != "" {
		t.Errorf("removal: %s", said)
	}
	b.end(t)
	a.end(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := log.Close(ctx); err != nil {
		t.Fatal(err)
	}
	wantMembership(t, path)
}

// awaitEntry waits until a file has a text in it.
func awaitEntry(t *testing.T, path, text string) {
	t.Helper()
	for {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), text) {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
}

// membersThen is how a cluster was, in an entry.
type membersThen struct{ Members []string }

// wantMembership checks what TestMembershipIsAudited has done.
func wantMembership(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for line := range strings.Lines(string(text)) {
		var e struct {
			audit.Entry
			Before membersThen `json:"before"`
			After  membersThen `json:"after"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil { //nolint:musttag // an entry reads itself
			t.Fatalf("%q: %v", line, err)
		}
		before, after := strings.Join(e.Before.Members, ","), strings.Join(e.After.Members, ",")
		asked := e.Action == audit.Membership && e.Actor.Via == "members" && strings.HasPrefix(e.Actor.Remote, "127.0.0.1:")
		switch {
		case e.Reason == "remove b" && asked && e.Error == "" && before == "a,b" && after == "a":
			found["removed"]++
		case e.Reason == "hand the lead over nobody" && asked && e.Error != "":
			found["refused"]++
		}
	}
	if found["removed"] != 1 || found["refused"] != 1 {
		t.Errorf("%v in\n%s", found, text)
	}
}
