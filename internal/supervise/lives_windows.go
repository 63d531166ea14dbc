package supervise

import "golang.org/x/sys/windows"

// lives reports whether there is a process of that number.
func lives(pid int) bool {
	h, err := windows.OpenProcess(windows.SYNCHRONIZE, false, uint32(pid)) //nolint:gosec // numbers are 32 bits there
	if err != nil {
		return false
	}
	defer windows.CloseHandle(h) //nolint:errcheck // nothing was written
	event, err := windows.WaitForSingleObject(h, 0)
	return err == nil && event == uint32(windows.WAIT_TIMEOUT)
}
