package server_test

import "golang.org/x/sys/unix"

// freeBytes is how much there is room for in a folder.
func freeBytes(dir string) (n uint64, ok bool) {
	var space unix.Statfs_t
	err := unix.Statfs(dir, &space)
	return space.Bavail * uint64(space.Bsize), err == nil
}
