//go:build !unix

package raftlog

import "os"

// isOverQuota reports whether an error says that a quota is used up.
func isOverQuota(error) bool { return false }

// isReadOnly reports whether an error says that a file system cannot be written to.
func isReadOnly(error) bool { return false }

// rightsAreClosed reports whether only the owner of a directory can look into it;
// here the system's modes do not say.
func rightsAreClosed(os.FileInfo) bool { return true }
