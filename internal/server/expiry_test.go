package server

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ldlm-io/ldlm/internal/cluster"
)

// Certificates of members that expire are warned about weeks ahead.
func TestExpiryOfMembers(t *testing.T) {
	dir := t.TempDir()
	ca, _, err := cluster.InitAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, err := cluster.Issue(dir, "a")
	if err != nil {
		t.Fatal(err)
	}
	files := cluster.Files{Authority: ca, Certificate: certificate, Key: key}
	end, err := files.Expires()
	if err != nil {
		t.Fatal(err)
	}
	gone := files
	gone.Key = filepath.Join(dir, "missing")
	for _, c := range []struct {
		files cluster.Files
		now   time.Time
		want  string
	}{
		{cluster.Files{}, end, ""},
		{files, end.Add(-31 * 24 * time.Hour), ""},
		{files, end.Add(-29 * 24 * time.Hour), "expires soon"},
		{files, end.Add(time.Second), "has expired"},
		{gone, end, "cannot be read"},
	} {
		var log bytes.Buffer
		m := &membership{config: Members{Files: c.files}, log: slog.New(slog.NewTextHandler(&log, nil)), ctx: t.Context()}
		m.warnOfExpiry(c.now)
		if got := log.String(); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("at %v: %q, want %q", c.now, got, c.want)
		}
	}
}
