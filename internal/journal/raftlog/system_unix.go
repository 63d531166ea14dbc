//go:build unix

package raftlog

import (
	"errors"
	"os"
	"syscall"
)

// isOverQuota reports whether an error says that a quota is used up.
func isOverQuota(err error) bool { return errors.Is(err, syscall.EDQUOT) }

// isReadOnly reports whether an error says that a file system cannot be written to.
func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }

// rightsAreClosed reports whether only the owner of a directory can look into it.
func rightsAreClosed(info os.FileInfo) bool { return info.Mode().Perm()&0o077 == 0 }
