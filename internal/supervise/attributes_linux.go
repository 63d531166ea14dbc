package supervise

import "syscall"

// attributes has the kernel kill the child when the thread that starts it ends.
func attributes(foreground bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: !foreground, Pdeathsig: syscall.SIGKILL}
}
