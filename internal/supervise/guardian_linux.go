package supervise

import (
	"encoding/json"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// An order is what a process tells its guardian: a line of JSON.
type order struct {
	// Watch says that what follows is whom to watch. It comes twice: before the
	// child is started, and after that, with its number.
	Watch      bool   `json:"watch,omitempty"`
	Child      int    `json:"child,omitempty"`
	Foreground bool   `json:"foreground,omitempty"`
	Session    int    `json:"session,omitempty"`
	Mark       string `json:"mark,omitempty"`
	// Until is a permit.
	Until *permit `json:"until,omitempty"`
	// Dismissed: everything is in order, and the guardian can go.
	Dismissed bool `json:"dismissed,omitempty"`
}

// A permit says until when the child may run, as readings of the clock that runs
// since the machine was started, suspended or not, and that all processes share.
// Zero is for ever.
type permit struct {
	Terminate time.Duration `json:"terminate,omitempty"`
	Kill      time.Duration `json:"kill,omitempty"`
}

// guardian is the end of this process of the pipe to its guardian.
type guardian struct {
	cmd    *exec.Cmd
	orders *os.File
}

// newGuardian starts a guardian, in a session of its own where no terminal and no
// signal to the group reaches it.
func newGuardian(command []string) (*guardian, error) {
	if len(command) == 0 {
		return nil, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // the guardian has its own
	g := &guardian{orders: w, cmd: &exec.Cmd{
		Path: command[0], Args: command, Env: []string{}, ExtraFiles: []*os.File{r},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}}
	if err := g.cmd.Start(); err != nil {
		_ = w.Close()
		return nil, err
	}
	return g, nil
}

// orderPatience bounds how long a guardian may take to read: it can be stopped as
// any process can.
const orderPatience = 200 * time.Millisecond

// tell sends an order. One that does not get through makes the guardian stricter
// than it should be, never laxer; if it is dead there is nobody to tell.
func (g *guardian) tell(o order) {
	if g == nil {
		return
	}
	line, err := json.Marshal(o)
	if err != nil {
		panic(err) // it has nothing in it that could not be written
	}
	_ = g.orders.SetWriteDeadline(time.Now().Add(orderPatience))
	_, _ = g.orders.Write(append(line, '\n'))
}

func (g *guardian) watch(c *group) {
	g.tell(order{Watch: true, Child: c.pid, Foreground: c.foreground, Session: c.session, Mark: c.mark})
}

func (g *guardian) permit(terminate, kill time.Duration) {
	now := sinceBoot()
	at := func(d time.Duration) time.Duration {
		if d < 0 {
			return 0
		}
		return now + max(d, 1)
	}
	g.tell(order{Until: &permit{Terminate: at(terminate), Kill: at(kill)}})
}

// dismiss sends the guardian away.
func (g *guardian) dismiss() {
	if g == nil {
		return
	}
	g.tell(order{Dismissed: true})
	_ = g.orders.Close()
	late := time.AfterFunc(orderPatience, func() { _ = g.cmd.Process.Kill() }) // it was stopped by somebody
	defer late.Stop()
	_ = g.cmd.Wait()
}

// sinceBoot reads the clock that permits are given by.
func sinceBoot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(err) // every kernel that Go runs on has it
	}
	return time.Duration(ts.Nano())
}
