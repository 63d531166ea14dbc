//go:build unix

package cli

import (
	"errors"
	"os"
)

// syncFolder makes names in a folder durable.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
