package raftlog

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Born reports whether a directory has the data of a member, and since when. One
// that is missing or empty has none, and one whose birth was interrupted neither.
// It changes nothing and locks nothing: somebody else may change the answer.
func Born(path string) (since time.Time, has bool, err error) {
	name := filepath.Join(path, "identity")
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, false, nil
	}
	if err != nil {
		return time.Time{}, false, unusable(path, err)
	}
	d := &directory{path: path}
	if err := d.readIdentity(); err != nil {
		return time.Time{}, false, err
	}
	return info.ModTime(), d.Born, nil
}

// Whose returns to which cluster and member a directory belongs; empty texts if it has
// no data yet. It changes nothing and locks nothing.
func Whose(path string) (cluster, member string, err error) {
	_, has, err := Born(path)
	if err != nil || !has {
		return "", "", err
	}
	d := &directory{path: path}
	err = d.readIdentity()
	return d.Cluster, d.Member, err
}
