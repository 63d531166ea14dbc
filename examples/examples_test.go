// Package examples has the test that runs every example as a user would: as a
// program of its own, against a server that is one too. Each proves its own claim
// and says by its exit code whether it held.
package examples

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// patience is how long an example may take on the slowest machine. Each ends by itself
// well before, and says then what it waited for.
const patience = 10 * time.Minute

func TestExamples(t *testing.T) {
	programs := build(t)
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	mains, err := filepath.Glob("*/main.go")
	if err != nil || len(mains) == 0 {
		t.Fatal("no examples:", err)
	}
	for _, main := range mains {
		name := filepath.Dir(main)
		t.Run(name, func(t *testing.T) {
			if _, err := os.Stat(filepath.Join(name, "README.md")); err != nil {
				t.Error(err)
			}
			if !strings.Contains(string(readme), "("+name+"/README.md)") {
				t.Errorf("README.md has no row for %s", name)
			}
			if name == "fencing" && runtime.GOOS == "windows" {
				t.Skip("needs a signal that stops a process, which Windows does not have")
			}
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			// The server is on a free port, tells the example, and ends with it.
			c := exec.CommandContext(ctx, filepath.Join(programs, "ldlm"), "dev", "--", filepath.Join(programs, name))
			out, err := c.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			t.Logf("\n%s", out)
		})
	}
}

// build builds the server and the examples into a folder and returns it.
func build(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs the go command:", err)
	}
	dir := t.TempDir()
	c := exec.CommandContext(t.Context(), "go", "build", "-o", dir+string(filepath.Separator), "../cmd/ldlm", "./...")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}
