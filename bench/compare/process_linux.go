package compare

import (
	"os"
	"syscall"
)

// apart puts a process into a group of its own, and ends it with this one even if
// this one is killed.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// freeze stops a process as it stands.
func freeze(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }
