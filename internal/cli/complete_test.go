package cli

import (
	"strings"
	"testing"
)

func TestCompletion(t *testing.T) {
	s := newSite(t)
	c := s.client(t, "db-1")
	for _, name := range []string{"nightly", "next one", "a\nb", "other"} {
		takeLock(t, c, name)
	}
	home := s.env
	home["XDG_CONFIG_HOME"] = t.TempDir()
	s.wants(t, 0, "", "", "context", "add", "prod", "--address", "x:1")
	for args, want := range map[string]string{
		"get n":                     "nightly|next one",
		"get ":                      "nightly|next one|other",
		"unlock o":                  "other",
		"renew o":                   "other",
		"resize o":                  "other",
		"watch o":                   "other",
		"ls o":                      "other",
		"describe o":                "other",
		"get other ":                "",
		"sessions get ":             "1\tops@db-1 pid 41",
		"context use ":              "prod",
		"ls --context ":             "prod",
		"ls --sort ":                "name|age|waiters|lease|none",
		"lock o":                    "other",
		"lock other ":               "",
		"lock --all nightly o":      "other",
		"lock x --on-lost ":         "kill|term|warn",
		"elect x -o ":               "text|json",
		"config view -o ":           "table|wide|json|yaml|name|go-template=",
		"ls --color ":               "auto|always|never",
		"watch --types ":            strings.Join(eventWords(), "|"),
		"ls --address 127.0.0.1:1 ": "",
	} {
		got := s.ldlm(t, append([]string{"__complete"}, strings.Split(args, " ")...)...)
		var names []string
		for line := range strings.Lines(got.stdout) {
			if line = strings.TrimSuffix(line, "\n"); !strings.HasPrefix(line, ":") {
				names = append(names, line)
			}
		}
		if all := strings.Join(names, "|"); got.code != 0 || all != want {
			t.Errorf("ldlm %s<tab>: %q, want %q", args, all, want)
		}
	}
	// After -- comes a command, which shells complete better.
	for args, want := range map[string]string{"lock x -- ./b": ":0\n", "lock x ": ":4\n", "dev -- ./b": ":0\n"} {
		if got := s.ldlm(t, append([]string{"__complete"}, strings.Split(args, " ")...)...); got.code != 0 || got.stdout != want {
			t.Errorf("ldlm %s<tab>: got %+v, want %q", args, got, want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := s.ldlm(t, "completion", shell); got.code != 0 || !strings.Contains(got.stdout, "__complete") {
			t.Errorf("%s: exit code %d, stderr %q", shell, got.code, got.stderr)
		}
	}
}

// A shell is not kept waiting by a server that says nothing.
func TestCompletionOfASilentServer(t *testing.T) {
	address := takePort(t).Addr().String()
	impatient := func(p Process) int {
		p.CompleteWithin = 0
		return Ldlm(p)
	}
	got := call(t, impatient, environment{"LDLM_ADDRESS": address}, "__complete", "get", "")
	if got.code != 0 || got.stdout != ":4\n" {
		t.Errorf("got %+v", got)
	}
}
