package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// machine is a network namespace with one interface, whose packets go through the
// switch. It has no name in the file system and ends with the program.
type machine struct {
	name    string
	address netip.Addr
	tun     *os.File
	work    chan func()
}

const (
	device   = "ldlm0"
	mtu      = 9000
	maskBits = 24
)

// newMachine makes a namespace. A thread lives in it until the machine is closed:
// sockets that it makes and processes that it starts belong there.
func newMachine(name string, address netip.Addr) (*machine, error) {
	m := &machine{name: name, address: address, work: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := m.enter()
		ready <- err
		if err != nil {
			return
		}
		for f := range m.work {
			f()
		}
	}()
	if err := <-ready; err != nil {
		return nil, fmt.Errorf("machine %s: %w", name, err)
	}
	return m, nil
}

// enter moves the thread into a new namespace and makes the interface there.
func (m *machine) enter() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("network namespace: %w", err)
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("/dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(device)
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return fmt.Errorf("tun: %w", err)
	}
	// Only now: before that there is nothing that the runtime could wait for.
	m.tun = os.NewFile(uintptr(fd), "tun of "+m.name)
	return m.configure()
}

// configure gives the interface and the loopback their addresses and sets them up.
func (m *machine) configure() error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(socket) }() // it has done what it was for
	mask := net.CIDRMask(maskBits, 32)
	set := func(device string, what uint, fill func(*unix.Ifreq) error) error {
		r, err := unix.NewIfreq(device)
		if err == nil {
			err = fill(r)
		}
		if err == nil {
			err = unix.IoctlIfreq(socket, what, r)
		}
		if err != nil {
			return fmt.Errorf("interface %s, ioctl %#x: %w", device, what, err)
		}
		return nil
	}
	up := func(r *unix.Ifreq) error {
		r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
		return nil
	}
	for _, err := range []error{
		set(device, unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(m.address.AsSlice()) }),
		set(device, unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr(mask) }),
		set(device, unix.SIOCSIFMTU, func(r *unix.Ifreq) error {
			r.SetUint32(mtu)
			return nil
		}),
		set(device, unix.SIOCSIFFLAGS, up),
		set("lo", unix.SIOCSIFFLAGS, up),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// do runs f in the namespace.
func (m *machine) do(f func()) {
	done := make(chan struct{})
	m.work <- func() {
		defer close(done)
		f()
	}
	<-done
}

// start starts a process in the namespace, which dies with the program.
func (m *machine) start(c *exec.Cmd) (err error) {
	if c.SysProcAttr == nil {
		c.SysProcAttr = &syscall.SysProcAttr{}
	}
	c.SysProcAttr.Pdeathsig = syscall.SIGKILL
	c.SysProcAttr.Setpgid = true // the terminal's ^C is for the program alone
	m.do(func() { err = c.Start() })
	return err
}

// shiftClocks lets the monotonic clocks of processes that are started from now on show
// so many seconds more than those of others.
func (m *machine) shiftClocks(seconds int) (err error) {
	m.do(func() {
		if err = unix.Unshare(unix.CLONE_NEWTIME); err != nil {
			err = fmt.Errorf("time namespace of %s: %w", m.name, err)
			return
		}
		text := fmt.Sprintf("monotonic %d 0\nboottime %d 0\n", seconds, seconds)
		err = os.WriteFile(fmt.Sprintf("/proc/%d/timens_offsets", unix.Gettid()), []byte(text), 0)
	})
	return err
}

// dial connects from the machine.
func (m *machine) dial(ctx context.Context, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	// The socket is made in the calling thread; who waits for it does not matter.
	fd := -1
	m.do(func() { fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0) })
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), address)
	defer func() { _ = f.Close() }() // the connection has a copy
	deadline, ok := ctx.Deadline()
	if ok {
		limit := unix.NsecToTimeval(max(1, time.Until(deadline).Nanoseconds()))
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit); err != nil {
			return nil, err
		}
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	return net.FileConn(f)
}

// close ends the machine. Its processes must have ended.
func (m *machine) close() {
	close(m.work)
	_ = m.tun.Close() // no packet is wanted any more
}

// monotonic is the time of the clock that all histories are written by.
func monotonic() int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // it cannot fail for this clock
	return t.Nano()
}
