package adminsock_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ldlm-io/ldlm/internal/adminsock"
	"github.com/ldlm-io/ldlm/internal/audit"
	"github.com/ldlm-io/ldlm/internal/logtest"
)

// operator keeps what it was asked for, and refuses one level.
type operator struct{ asked []string }

func (o *operator) Reload(audit.Actor) error {
	o.asked = append(o.asked, "reload")
	return nil
}

func (o *operator) SetLogLevel(_ audit.Actor, level string) error {
	o.asked = append(o.asked, level)
	if level == "loud" {
		return errors.New("no such level")
	}
	return nil
}

func TestOperator(t *testing.T) {
	r := newRig(t, nil)
	for _, ask := range []func() error{
		func() error { return r.client.Reload(t.Context()) },
		func() error { return r.client.SetLogLevel(t.Context(), "debug") },
	} {
		refused := (*adminsock.RefusedError)(nil)
		if err := ask(); !errors.As(err, &refused) || refused.Code != adminsock.Failed {
			t.Errorf("without an operator: %v", err)
		}
	}

	o, log := &operator{}, &logtest.Log{}
	path := filepath.Join(t.TempDir(), "s")
	socket, err := adminsock.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s := adminsock.Start(adminsock.Config{Socket: socket, Node: r.node, Logger: messages(log), Operator: o})
	t.Cleanup(s.Close)
	client := adminsock.NewClient(path)
	if err := client.SetLogLevel(t.Context(), "debug"); err != nil {
		t.Error(err)
	}
	if err := client.Reload(t.Context()); err != nil {
		t.Error(err)
	}
	if err := client.SetLogLevel(t.Context(), "loud"); err == nil || err.Error() != "no such level" {
		t.Errorf("a level that is refused: %v", err)
	}
	if err := client.SetLogLevel(t.Context(), ""); err == nil || err.Error() != "log_level needs a level" {
		t.Errorf("no level: %v", err)
	}
	if got := strings.Join(o.asked, " "); got != "debug reload loud" {
		t.Errorf("the operator was asked for %s", got)
	}
	if !strings.Contains(log.String(), "msg=\"Handling IPC LogLevel request\" log_level=debug\n") {
		t.Errorf("the log is\n%s", log)
	}
}
