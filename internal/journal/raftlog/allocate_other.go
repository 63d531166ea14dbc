//go:build !linux

package raftlog

import "os"

// allocate gives a new file its size.
func allocate(f *os.File, size int64) error { return f.Truncate(size) }

// syncData makes what was written to a file durable.
func syncData(f *os.File) error { return f.Sync() }
