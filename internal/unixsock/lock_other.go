//go:build !unix || solaris || illumos || aix

package unixsock

import (
	"errors"
	"io/fs"
)

// restrict does nothing: here a socket's file has its rights from its folder.
func restrict(uintptr, fs.FileMode) {}

// errLockBusy does not occur here.
var errLockBusy = errors.New("locked")

// lockPath does nothing: two servers that begin at the same moment over a socket
// that a third one left behind are not told apart here.
func lockPath(string) (unlock func(), err error) { return func() {}, nil }
