package wire

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// poll is an epoll and what wakes up who sleeps in it. Events are told for as long
// as they are true, so that who reads once need not read all.
type poll struct {
	epoll, bell int
	events      []unix.EpollEvent
}

// event is something that happened to a descriptor.
type event unix.EpollEvent

func (e event) descriptor() int { return int(e.Fd) }
func (e event) readable() bool  { return e.Events&^unix.EPOLLOUT != 0 }
func (e event) writable() bool  { return e.Events&^unix.EPOLLIN != 0 }

// eventsAtOnce is how many events are taken at a time.
const eventsAtOnce = 128

func (p *poll) open() error {
	var err error
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if p.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		_ = unix.Close(p.epoll)
		return os.NewSyscallError("eventfd", err)
	}
	if err = p.add(p.bell); err != nil {
		p.close()
		return os.NewSyscallError("epoll_ctl", err)
	}
	p.events = make([]unix.EpollEvent, eventsAtOnce)
	return nil
}

func (p *poll) close() {
	_ = unix.Close(p.bell)
	_ = unix.Close(p.epoll)
}

// descriptor returns a copy of a connection's descriptor that is the caller's. Only
// what the system itself carries has one: no TLS.
func (p *poll) descriptor(c net.Conn) (int, bool) {
	switch c.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return 0, false
	}
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, false
	}
	fd, failed := -1, error(nil)
	err = raw.Control(func(s uintptr) { fd, failed = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, err == nil && failed == nil
}

func (p *poll) add(fd int) error {
	return unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// ask asks for what is of interest of a descriptor; that it has ended is told in any case.
func (p *poll) ask(fd int, i interest) error {
	e := unix.EpollEvent{Fd: int32(fd)}
	switch i {
	case toRead:
		e.Events = unix.EPOLLIN
	case toWrite:
		e.Events = unix.EPOLLOUT
	case noInterest:
	}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.epoll, unix.EPOLL_CTL_MOD, fd, &e))
}

// release closes a descriptor, which takes it out of the epoll as well: nobody else
// has this connection open.
func (p *poll) release(fd int) {
	_ = unix.EpollCtl(p.epoll, unix.EPOLL_CTL_DEL, fd, nil)
	_ = unix.Close(fd)
}

func (p *poll) endWriting(fd int) { _ = unix.Shutdown(fd, unix.SHUT_WR) }

// wake wakes up who waits in look.
func (p *poll) wake() {
	_, _ = unix.Write(p.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // it cannot be full: look empties it
}

// yield lets others run: goroutines, and whoever else waits for this processor, as the
// one who is to ask next may do.
func (p *poll) yield() {
	runtime.Gosched()
	_, _, _ = unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
}

// look returns what has happened, and waits until something has if asked to.
func (p *poll) look(ready []event, wait bool) []event {
	timeout := 0
	if wait {
		timeout = -1
	}
	ready = ready[:0]
	n, err := unix.EpollWait(p.epoll, p.events, timeout)
	if err != nil && !errors.Is(err, unix.EINTR) {
		panic("wire: epoll_wait: " + err.Error()) // the descriptor is ours and stands
	}
	for _, e := range p.events[:max(n, 0)] {
		if int(e.Fd) == p.bell {
			var rung [8]byte
			_, _ = unix.Read(p.bell, rung[:])
			continue
		}
		ready = append(ready, event(e))
	}
	return ready
}

// descriptor reads and writes without waiting.
type descriptor int

// errNothing: nothing can be read, or written, now.
var errNothing = syscall.EAGAIN

// Read is io.EOF at the end.
func (d descriptor) Read(b []byte) (int, error) {
	for {
		switch n, err := unix.Read(int(d), b); {
		case err == unix.EINTR:
		case err != nil:
			return 0, os.NewSyscallError("read", err)
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// Write writes what is taken, and says errNothing if that was not all.
func (d descriptor) Write(b []byte) (int, error) {
	written := 0
	for written < len(b) {
		n, err := unix.Write(int(d), b[written:])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return written, os.NewSyscallError("write", err)
		default:
			written += n
		}
	}
	return written, nil
}
