package systemd_test

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/ldlm-io/ldlm/internal/systemd"
)

func from(env map[string]string) func(string) string {
	return func(name string) string { return env[name] }
}

func TestNotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "n")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	n := systemd.NewNotifier(from(map[string]string{"NOTIFY_SOCKET": path}))
	if err := n.Notify(systemd.Ready, systemd.Status("a\nb")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	got, err := c.Read(b)
	if err != nil || string(b[:got]) != "READY=1\nSTATUS=a b" {
		t.Errorf("%q, %v", b[:got], err)
	}
}

// TestNobodyToTell: without a manager, or with a socket that is none, nothing happens.
func TestNobodyToTell(t *testing.T) {
	for _, path := range []string{"", "relative"} {
		if n := systemd.NewNotifier(from(map[string]string{"NOTIFY_SOCKET": path})); n != nil || n.Notify(systemd.Ready) != nil {
			t.Errorf("%q: %v", path, n)
		}
	}
	n := systemd.NewNotifier(from(map[string]string{"NOTIFY_SOCKET": filepath.Join(t.TempDir(), "none")}))
	if n.Notify(systemd.Ready) == nil {
		t.Error("told, though nobody listens")
	}
}

func TestWatchdogEvery(t *testing.T) {
	own := strconv.Itoa(os.Getpid())
	for _, c := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"", "", 0}, {"x", "", 0}, {"0", "", 0}, {"-5", own, 0}, {"30000000", "", 15 * time.Second},
		{"30000000", own, 15 * time.Second}, {"30000000", "1", 0}, {"9223372036854775807", own, 0},
	} {
		if got := systemd.WatchdogEvery(from(map[string]string{"WATCHDOG_USEC": c.usec, "WATCHDOG_PID": c.pid})); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestNoSockets(t *testing.T) {
	if all, err := systemd.Sockets(from(map[string]string{"LISTEN_PID": "1", "LISTEN_FDS": "3"})); len(all) != 0 || err != nil {
		t.Errorf("another process's: %v, %v", all, err)
	}
}
