package systemd

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// sendPatience bounds how long a datagram may take; who reads them may be busy.
const sendPatience = time.Second

// A Notifier tells the service manager how the process does. Make one with
// [NewNotifier]; nil tells nobody. It is safe for concurrent use.
type Notifier struct{ address net.UnixAddr }

// NewNotifier returns the notifier that the environment asks for, nil for none.
// getenv returns "" for a variable that is not set.
func NewNotifier(getenv func(string) string) *Notifier {
	path := getenv("NOTIFY_SOCKET")
	if !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "@") {
		return nil
	}
	return &Notifier{net.UnixAddr{Net: "unixgram", Name: path}}
}

// Notify sends assignments such as READY=1, in one datagram. Values must have no
// line ends.
func (n *Notifier) Notify(assignments ...string) error {
	if n == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), sendPatience)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, n.address.Net, n.address.Name)
	if err == nil {
		defer c.Close()
		err = c.SetWriteDeadline(time.Now().Add(sendPatience))
	}
	if err == nil {
		_, err = c.Write([]byte(strings.Join(assignments, "\n")))
	}
	if err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	return nil
}

// What a service tells.
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
	Alive    = "WATCHDOG=1"
)

// Status is a line for people, shown with the service.
func Status(text string) string { return "STATUS=" + strings.ReplaceAll(text, "\n", " ") }

// ExtendTimeout asks for so much more time before the service manager gives up on
// a start or an end.
func ExtendTimeout(d time.Duration) string {
	return "EXTEND_TIMEOUT_USEC=" + strconv.FormatInt(d.Microseconds(), 10)
}

// Reloading returns what is told when the configuration begins to be read again:
// the time goes with it, so that the manager knows which request it answers.
// Ready follows when that is over.
func Reloading() []string {
	all := []string{"RELOADING=1"}
	if now, ok := monotonic(); ok {
		all = append(all, "MONOTONIC_USEC="+strconv.FormatInt(now.Microseconds(), 10))
	}
	return all
}

// WatchdogEvery returns how often the manager wants to hear Alive: half of the
// time after which it takes the process for dead. 0: never.
func WatchdogEvery(getenv func(string) string) time.Duration {
	usec, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || usec <= 0 || usec > int64(time.Duration(1<<63-1)/time.Microsecond) {
		return 0
	}
	if pid := getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	return time.Duration(usec) * time.Microsecond / 2
}
