//go:build !linux && !windows

package supervise

import "syscall"

func attributes(foreground bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: !foreground}
}
