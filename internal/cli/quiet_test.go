package cli

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ldlm-io/ldlm/internal/config"
)

// A server that begins with nothing is quiet for as long as it is told, and says so; one that has
// its data grants at once.
func TestQuietStart(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	try := func(r *running) result {
		return call(t, Ldlm, environment{"LDLM_ADDRESS": r.address(t)}, "lock", "a", "-w", "0s", "--", "true")
	}
	r := startServer(t, nil, "--quiet_start", "1h")
	if got := try(r); got.code == exitOK || !strings.Contains(got.stderr, "nothing is granted for") {
		t.Errorf("in memory: %+v", got)
	}
	if got := call(t, Ldlm, environment{"LDLM_ADDRESS": r.address(t)}, "status"); !strings.Contains(got.stdout, "Quiet:") {
		t.Errorf("the status is %s", got.stdout)
	}
	r = startServer(t, nil, "--data_dir", data)
	if got := try(r); got.code != exitOK {
		t.Errorf("with a new directory: %+v", got)
	}
	r.stop(syscall.SIGTERM)
	if got := try(startServer(t, nil, "--data_dir", data, "--quiet_start", "1h")); got.code != exitOK {
		t.Errorf("with a directory that has data: %+v", got)
	}
}

// A time that cannot be meant is refused, and named as it is set.
func TestQuietStartRefused(t *testing.T) {
	if err := (&config.Server{QuietStart: -1}).Validate(); err == nil || !strings.Contains(err.Error(), "quiet_start: it is -1ns") {
		t.Errorf("got %v", err)
	}
	if got := call(t, LdlmServer, nil, "-l", "127.0.0.1:0", "--quiet_start", "-1s"); got.code == 0 || !strings.Contains(got.stderr, "cannot be negative") {
		t.Errorf("got %+v", got)
	}
}
