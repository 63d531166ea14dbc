//go:build !windows && (!unix || solaris || aix)

package raftlog

import "os"

// lockFile does nothing on systems without locks of whole files.
func lockFile(*os.File) (bool, error) { return true, nil }

// lockDirectory does nothing.
func lockDirectory(string) (*os.File, bool) { return nil, true }
