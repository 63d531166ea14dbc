package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The reference in docs is what the commands say.
func TestReferenceIsCurrent(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "cli.md")
	got := call(t, Ldlm, nil, "man", "--markdown").stdout
	if os.Getenv("LDLM_REWRITE") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Error("docs/cli.md is not what the commands say; write it anew: make cli-reference")
	}
}

func TestReferenceHasEverything(t *testing.T) {
	page := call(t, Ldlm, nil, "man", "--markdown").stdout
	for _, want := range []string{
		"## ldlm lock\n", "## ldlm sessions kill\n", "## ldlm help exit-codes\n", "## ldlm help environment\n",
		"\n   76    the lock was lost while it was held", "      --contended ",
	} {
		if strings.Count(page, want) != 1 {
			t.Errorf("it has %q %d times", want, strings.Count(page, want))
		}
	}
	if strings.Contains(page, "## ldlm guard") {
		t.Error("it has a hidden command")
	}
}

func TestMan(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "man")
	if got := call(t, Ldlm, nil, "man", dir); got != (result{}) {
		t.Fatalf("got %+v", got)
	}
	for page, want := range map[string]string{
		"ldlm.1":               `.TH "LDLM" "1"`,
		"ldlm-sessions-kill.1": "\\fBldlm sessions kill NUMBER [flags]\\fP",
		"ldlm-exit-codes.7":    "\n   76    the lock was lost while it was held",
		"ldlm-environment.7":   "\\-\\-address",
	} {
		text, err := os.ReadFile(filepath.Join(dir, page))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v, lacks %q", page, err, want)
		}
	}
	for _, args := range [][]string{{"man"}, {"man", "a", "--markdown"}, {"man", "a", "b"}} {
		if got := call(t, Ldlm, nil, args...); got.code != 64 || got.stdout != "" {
			t.Errorf("%q: got %+v", args, got)
		}
	}
	if got := call(t, Ldlm, nil, "man", "/dev/null/x"); got.code != 1 || !strings.HasPrefix(got.stderr, "ldlm: cannot make the folder of the pages: ") {
		t.Errorf("got %+v", got)
	}
}
