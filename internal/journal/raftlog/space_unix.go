//go:build linux || darwin || freebsd

package raftlog

import "syscall"

// diskSpace returns how much of the file system of a directory is free for this
// process, and how large it is, in bytes; false if the system does not say.
func diskSpace(dir string) (free, total int64, ok bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, 0, false
	}
	block := int64(s.Bsize) //nolint:unconvert // it has another type on other systems
	return int64(s.Bavail) * block, int64(s.Blocks) * block, true
}
