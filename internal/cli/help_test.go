package cli

import (
	"strings"
	"testing"
)

func TestTopics(t *testing.T) {
	list := call(t, Ldlm, nil, "help").stdout
	for topic, want := range map[string]string{
		"exit-codes":  "69    no server can be reached",
		"environment": "CLICOLOR_FORCE",
		"locks":       "first come, first served",
		"compat":      "ldlm-server",
	} {
		if !strings.Contains(list, "\n  "+topic+" ") {
			t.Errorf("ldlm help does not list %s", topic)
		}
		help := call(t, Ldlm, nil, "help", topic)
		if help.code != 0 || help.stderr != "" || !strings.Contains(help.stdout, want) {
			t.Errorf("ldlm help %s: got %+v", topic, help)
		}
		for _, args := range [][]string{{topic}, {topic, "--help"}} {
			if got := call(t, Ldlm, nil, args...); got != help {
				t.Errorf("ldlm %s differs from ldlm help %s: %+v", strings.Join(args, " "), topic, got)
			}
		}
	}
}

func TestHelpCommand(t *testing.T) {
	for args, same := range map[string]string{
		"help":               "--help",
		"help ls":            "ls --help",
		"help list":          "ls --help",
		"help sessions kill": "sessions kill --help",
		"help help":          "help --help",
	} {
		got, want := call(t, Ldlm, nil, strings.Fields(args)...), call(t, Ldlm, nil, strings.Fields(same)...)
		if got != want || got.code != 0 || got.stdout == "" {
			t.Errorf("ldlm %s: got %+v, want what ldlm %s says, %+v", args, got, same, want)
		}
	}
	for args, want := range map[string]string{
		"help frobnicate":     `ldlm help: there is no command or topic "frobnicate"`,
		"help exit-code":      `ldlm help: there is no command or topic "exit-code"; did you mean exit-codes?`,
		"help sessions kil":   `ldlm help: there is no command or topic "sessions kil"; did you mean kill?`,
		"help context adding": `ldlm help: there is no command or topic "context adding"`,
	} {
		got := call(t, Ldlm, nil, strings.Fields(args)...)
		if got.code != 64 || got.stdout != "" || !strings.HasPrefix(got.stderr, want) {
			t.Errorf("ldlm %s: got %+v", args, got)
		}
	}
}

func TestNearestIsSuggested(t *testing.T) {
	for args, want := range map[string]string{
		"lss":                  "did you mean ls?",
		"unlok x":              "did you mean unlock?",
		"sessions kil 1":       "did you mean kill?",
		"sessions gte 1":       "did you mean get?",
		"completion bsh":       "did you mean bash?",
		"ls --watsh":           "did you mean --watch?",
		"unlock x --forse":     "did you mean --force?",
		"context add x --usee": "did you mean --use?",
	} {
		got := call(t, Ldlm, nil, strings.Fields(args)...)
		if got.code != 64 || got.stdout != "" || !strings.Contains(got.stderr, want) {
			t.Errorf("ldlm %s: got %+v, want %q", args, got, want)
		}
	}
}
