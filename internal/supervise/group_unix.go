//go:build !windows

package supervise

import (
	"errors"
	"os"
	"syscall"
)

// A group is the processes of a child.
type group struct {
	foreground bool
	mark       string
	pid        int // of the child itself, and of its group if it has one; 0: not known yet
	session    int // of this process, and of the child as it starts
}

// newGroup returns the group of a child that is still to be started.
func newGroup(c Config) group {
	g := group{foreground: c.Foreground, mark: c.Mark}
	g.session, _ = getsid() // without it there is only what descends from the child
	return g
}

// adopt notes who the child is.
func (g *group) adopt(p *os.Process) error {
	g.pid = p.Pid
	return nil
}

func (g *group) release() {}

func (g *group) forward(s os.Signal) error {
	number, ok := s.(syscall.Signal)
	if !ok {
		return errors.ErrUnsupported
	}
	if g.foreground {
		return send(g.pid, number)
	}
	return send(-g.pid, number)
}

// terminate: who is stopped gets no signal before it goes on.
func (g *group) terminate() error {
	return errors.Join(g.signal(syscall.SIGTERM), g.signal(syscall.SIGCONT))
}

// rounds bounds how often processes are looked for that were started while
// others were killed.
const rounds = 100

func (g *group) kill() error {
	if !g.foreground && g.pid != 0 {
		return g.signal(syscall.SIGKILL)
	}
	for range rounds {
		all, err := g.members()
		if err != nil || len(all) == 0 {
			return err
		}
		for _, pid := range all {
			_ = send(pid, syscall.SIGKILL)
		}
	}
	return nil
}

// signal sends a signal to all of the child.
func (g *group) signal(s syscall.Signal) error {
	if !g.foreground && g.pid != 0 {
		return send(-g.pid, s)
	}
	all, err := g.members()
	for _, pid := range all {
		err = errors.Join(err, send(pid, s))
	}
	return err
}

// send sends a signal to a process or, below 0, to a group. It is no error if
// there is none any more.
func send(pid int, s syscall.Signal) error {
	err := syscall.Kill(pid, s)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

// members returns those that live: who has ended and only waits for a parent to
// ask does not.
func (g *group) members() ([]int, error) {
	if !g.foreground && g.pid != 0 && errors.Is(syscall.Kill(-g.pid, 0), syscall.ESRCH) {
		return nil, nil
	}
	table, err := processes()
	if err != nil {
		return nil, err
	}
	return g.among(table), nil
}

// among finds the living processes of the child in a table of all.
func (g *group) among(table []process) []int {
	parents := make(map[int]int, len(table))
	for _, p := range table {
		parents[p.pid] = p.parent
	}
	self := os.Getpid()
	var all []int
	for _, p := range table {
		if !p.dead && p.pid != self && g.has(p, parents) {
			all = append(all, p.pid)
		}
	}
	return all
}

// has reports whether a process is one of the child's.
func (g *group) has(p process, parents map[int]int) bool {
	switch {
	case !g.foreground && g.pid != 0:
		return p.group == g.pid
	case g.pid != 0 && p.pid == g.pid:
		return true
	case g.session != 0 && p.session != g.session:
		return false
	case g.pid != 0 && descends(p.pid, g.pid, parents):
		return true
	default:
		return g.session != 0 && g.mark != "" && marked(p.pid, g.mark)
	}
}

// descends reports whether a process has that ancestor.
func descends(pid, ancestor int, parents map[int]int) bool {
	for range len(parents) { // a table that changed while it was read may have circles
		parent, ok := parents[pid]
		switch {
		case !ok || parent == 0:
			return false
		case parent == ancestor:
			return true
		}
		pid = parent
	}
	return false
}

// exitCode is that of shells.
func exitCode(s *os.ProcessState) int {
	const signaled = 128
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return signaled + int(w.Signal())
	}
	return s.ExitCode()
}
