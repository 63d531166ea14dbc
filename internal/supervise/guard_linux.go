package supervise

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// guardPipe is where a guardian finds its orders.
const guardPipe = 3

// Guard is the life of a guardian: it returns when the process that started it
// sends it away, or has ended and nothing of its child is left. It is called by
// the command that a [Config] names, which does nothing else.
func Guard() error {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	if err := unix.SetNonblock(guardPipe, true); err != nil {
		return fmt.Errorf("only ldlm itself starts this: %w", err)
	}
	alarm, err := newAlarm()
	if err != nil {
		return err
	}
	g := &guard{alarm: alarm}
	return g.run(os.NewFile(guardPipe, "orders"))
}

// guard is what a guardian knows.
type guard struct {
	child group
	until permit
	alarm *alarm
}

// run obeys orders until there are no more.
func (g *guard) run(orders *os.File) error {
	defer g.alarm.close()
	heard, over := make(chan order), make(chan struct{})
	defer close(over)
	go func() {
		defer close(heard)
		for d := json.NewDecoder(orders); ; {
			var o order
			if d.Decode(&o) != nil {
				return // with whoever wrote them, or in the middle of a line
			}
			select {
			case heard <- o:
			case <-over:
				return
			}
		}
	}()
	for {
		select {
		case o, ok := <-heard:
			switch {
			case !ok:
				return g.child.kill()
			case o.Dismissed:
				return nil
			}
			g.obey(o)
		case <-g.alarm.rings:
		}
		g.look()
	}
}

func (g *guard) obey(o order) {
	if o.Watch {
		g.child = group{pid: o.Child, foreground: o.Foreground, session: o.Session, mark: o.Mark}
	}
	if o.Until != nil {
		g.until = *o.Until
	}
}

// look does what is due, and sets the alarm for what is not.
func (g *guard) look() {
	now, u := sinceBoot(), &g.until
	if u.Kill != 0 && now >= u.Kill {
		*u = permit{}
		_ = g.child.kill()
	}
	if u.Terminate != 0 && now >= u.Terminate {
		u.Terminate = 0
		_ = g.child.terminate()
	}
	next := u.Kill
	if u.Terminate != 0 && (next == 0 || u.Terminate < next) {
		next = u.Terminate
	}
	g.alarm.set(next)
}

// An alarm rings at a reading of the clock that counts suspend, at once after it.
// Timers of Go do not.
type alarm struct {
	timer *os.File
	rings chan struct{}
}

func newAlarm() (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("timer: %w", err)
	}
	a := &alarm{timer: os.NewFile(uintptr(fd), "alarm"), rings: make(chan struct{}, 1)}
	go a.listen()
	return a, nil
}

// listen ends when the alarm is closed.
func (a *alarm) listen() {
	for {
		var count [8]byte // how often it rang
		if err := binary.Read(a.timer, binary.NativeEndian, &count); err != nil && !errors.Is(err, syscall.ECANCELED) {
			return
		}
		select {
		case a.rings <- struct{}{}:
		default:
		}
	}
}

// set has the alarm ring then and not before; 0 is never.
func (a *alarm) set(at time.Duration) {
	raw, err := a.timer.SyscallConn()
	if err != nil {
		return // closed
	}
	_ = raw.Control(func(fd uintptr) {
		spec := unix.ItimerSpec{Value: unix.NsecToTimespec(at.Nanoseconds())}
		_ = unix.TimerfdSettime(int(fd), unix.TFD_TIMER_ABSTIME, &spec, nil)
	})
}

func (a *alarm) close() { _ = a.timer.Close() }
