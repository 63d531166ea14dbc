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
		"ldlm.1":               ".SH LOOK\n.TP\n\\fBldlm\\-get\\fP(1)\nShow a lock",
		"ldlm-sessions-kill.1": "\\fBldlm sessions kill\\fP NUMBER [flags]",
		"ldlm-sessions.1":      ".SH COMMANDS\n.TP\n\\fBldlm\\-sessions\\-get\\fP(1)\n",
		"ldlm-lock.1":          ".TP\n\\fB\\-w\\fP, \\fB\\-\\-wait\\fP \\fIduration\\fP\nwait at most so long",
		"ldlm-ls.1":            "{{.waiter_count}}{{\"\\en\"}}{{end}}'\n.fi",
		"ldlm-bench.1":         ".PP\n.nf\n  pairs     each worker has a lock of its own; nobody waits\n",
		"ldlm-exit-codes.7":    "\n   76    the lock was lost while it was held",
		"ldlm-environment.7":   "\\-\\-address",
	} {
		text, err := os.ReadFile(filepath.Join(dir, page))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v, lacks %q", page, err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "ldlm-guard.1")); err == nil {
		t.Error("there is a page of a hidden command")
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

// A page that no formatter stumbles over: outside of what is written for it, no line
// begins with an order, and no backslash is one.
func TestManText(t *testing.T) {
	for text, want := range map[string]string{
		"a-b":            `a\-b`,
		`a\n`:            `a\en`,
		".nf\n'x\na.b'c": "\\&.nf\n\\&'x\na.b'c",
	} {
		if got := manText(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	p := &manPage{}
	p.prose("first\nline\n\n  a  table\n\n#### Linux:\n\n\tcode\n")
	if got, want := p.text.String(), "first\nline\n.PP\n.nf\n  a  table\n.fi\n.PP\n\\fBLinux:\\fP\n.PP\n.nf\n    code\n.fi\n"; got != want {
		t.Errorf("prose is\n%s\nwant\n%s", got, want)
	}
}
