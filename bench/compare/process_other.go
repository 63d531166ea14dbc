//go:build !linux

package compare

import (
	"errors"
	"os"
	"syscall"
)

func apart() *syscall.SysProcAttr { return nil }

func freeze(*os.Process) error { return errors.ErrUnsupported }
