package supervise

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// A Watched is a process of somebody else whose end is waited for.
type Watched struct {
	pidfd *os.File
	pipe  *os.File // writing end of what ends the wait
	ended chan struct{}
	over  chan struct{}
}

// Watch waits for the end of a process. [os.ErrProcessDone] if there is none of
// that number.
func Watch(pid int) (*Watched, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return nil, os.ErrProcessDone
	}
	if err != nil {
		return nil, fmt.Errorf("watch process %d: %w", pid, err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	p := &Watched{pidfd: os.NewFile(uintptr(fd), "process"), pipe: w, ended: make(chan struct{}), over: make(chan struct{})}
	go p.wait(fd, r)
	return p, nil
}

func (p *Watched) wait(fd int, r *os.File) {
	defer close(p.over)
	defer r.Close() //nolint:errcheck // nothing comes through it
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(r.Fd()), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, -1)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil || fds[1].Revents != 0:
			return
		case fds[0].Revents != 0:
			close(p.ended)
			return
		}
	}
}

// Ended is closed when the process has ended.
func (p *Watched) Ended() <-chan struct{} { return p.ended }

// Close ends the wait.
func (p *Watched) Close() {
	_ = p.pipe.Close()
	<-p.over
	_ = p.pidfd.Close()
}
