package compare

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNoRedis says how to come by a Redis server.
var ErrNoRedis = errors.New("there is no redis-server here: what is measured against Redis is left out. " +
	"Debian has it: apt-get install redis-server (the comparison starts its own, the service may be off)")

// FindRedis returns the Redis server of this machine, or [ErrNoRedis].
func FindRedis() (string, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return "", ErrNoRedis
	}
	return path, nil
}

// BuildEtcd builds a member of etcd into a folder, from this module, and returns its
// path.
func BuildEtcd(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "etcd")
	if _, err := run(ctx, "go", "build", "-trimpath", "-o", path, "github.com/ldlm-io/ldlm/bench/cmd/etcd"); err != nil {
		return "", fmt.Errorf("is this the module bench? %w", err)
	}
	return path, nil
}

// Build builds the program ldlm into a folder, from the module that this one
// replaces its dependency with, and returns its path.
func Build(ctx context.Context, dir string) (string, error) {
	root, err := run(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/ldlm-io/ldlm")
	if err != nil {
		return "", fmt.Errorf("where is the source of ldlm? Run this in the module bench, or give the program with -ldlm: %w", err)
	}
	path := filepath.Join(dir, "ldlm")
	if _, err := run(ctx, "go", "build", "-C", strings.TrimSpace(root), "-trimpath", "-buildvcs=auto", "-o", path, "./cmd/ldlm"); err != nil {
		return "", err
	}
	return path, nil
}
