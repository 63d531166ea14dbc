//go:build unix

package cli

import "syscall"

// maxDescriptors is how many files this process may have open.
func maxDescriptors() (n uint64, known bool) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, false
	}
	return uint64(l.Cur), true //nolint:unconvert // FreeBSD has it signed
}
