package raftlog

import "golang.org/x/sys/windows"

// diskSpace returns how much of the file system of a directory is free for this
// process, and how large it is, in bytes; false if the system does not say.
func diskSpace(dir string) (free, total int64, ok bool) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0, false
	}
	var f, t uint64
	if err := windows.GetDiskFreeSpaceEx(path, &f, &t, nil); err != nil {
		return 0, 0, false
	}
	return int64(f), int64(t), true
}
