package cli

import "syscall"

// clockSynchronised reports what the kernel believes of its clock.
func clockSynchronised() (synchronised, known bool) {
	const unsynchronised = 0x40 // STA_UNSYNC
	var t syscall.Timex
	if _, err := syscall.Adjtimex(&t); err != nil {
		return false, false
	}
	return t.Status&unsynchronised == 0, true
}
