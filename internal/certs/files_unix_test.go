//go:build unix

package certs_test

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ldlm-io/ldlm/internal/certs"
	"github.com/ldlm-io/ldlm/internal/certs/certstest"
)

// What is no file keeps nobody waiting, and is not read for ever.
func TestReloadOfWhatIsNoFile(t *testing.T) {
	p := certstest.New(t).Issue("p", time.Now().Add(year))
	c, _ := open(t, certs.Files{Certificate: p.Certificate, Key: p.Key})
	if err := os.Remove(p.Key); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(p.Key, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Reload(); err == nil || !strings.Contains(err.Error(), p.Key+" is a pipe, and nobody writes to it") {
		t.Errorf("a pipe: %v", err)
	}
	if err := os.Remove(p.Key); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", p.Key); err != nil {
		t.Fatal(err)
	}
	if err := c.Reload(); err == nil || !strings.Contains(err.Error(), p.Key+" is larger than") {
		t.Errorf("a device without an end: %v", err)
	}
}
