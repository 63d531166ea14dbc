package config_test

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/ldlm-io/ldlm/internal/config"
)

// What helps stands below the error that version 1 had.
func TestExplain(t *testing.T) {
	for args, want := range map[string]string{
		"--shardz 3":             "unknown flag: --shardz\nDid you mean --shards?",
		"--rest-listen x":        "unknown flag: --rest-listen\nDid you mean --rest_listen_address?",
		"--paswordfile x":        "unknown flag: --paswordfile\nDid you mean --password_file?",
		"--print_yaml_templates": "unknown flag: --print_yaml_templates",
		"--nope":                 "unknown flag: --nope",
		"-Z":                     "unknown shorthand flag: 'Z' in -Z",
		"-g 10":                  "invalid argument \"10\" for \"-g, --lock_gc_interval\" flag: time: missing unit in duration \"10\"\nA duration has a unit: write 10s if you mean seconds.",
		"-g soon":                "invalid argument \"soon\" for \"-g, --lock_gc_interval\" flag: time: invalid duration \"soon\"",
		"--shards x":             "invalid argument \"x\" for \"--shards\" flag: strconv.ParseUint: parsing \"x\": invalid syntax",
	} {
		var s config.Server
		flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
		flags.SetOutput(io.Discard)
		b := config.Bind(flags, &s)
		err := flags.Parse(strings.Fields(args))
		if err == nil || b.Explain(err).Error() != want {
			t.Errorf("%s: got %v\nwant %s", args, b.Explain(err), want)
		}
	}
}

func TestPasswords(t *testing.T) {
	one, two := write(t, "1", "a\n\nb c \r\n"), write(t, "2", "é")
	for _, c := range []struct{ password, file, want string }{
		{"", "", ""},
		{"x", "", "x"},
		{"", one, "a|b c "},
		{"x", one + "," + two, "x|a|b c |é"},
		{"", one + ", " + two, "a|b c |é"},
	} {
		s := config.Server{Password: c.password, PasswordFile: c.file}
		if got, err := s.Passwords(); err != nil || strings.Join(got, "|") != c.want {
			t.Errorf("%+v: got %q, error %v", c, got, err)
		}
	}
	for file, want := range map[string]string{
		"/nowhere":               "password_file: open /nowhere: no such file or directory",
		one + ",":                "password_file: a name of a file is empty",
		write(t, "3", ""):        " has no password in it; write one a line",
		write(t, "4", "\r\n\n"):  " has no password in it; write one a line",
		write(t, "5", "a\nb\tc"): ":2: a password has a control character, which no client can send",
	} {
		s := config.Server{Password: "x", PasswordFile: file}
		if got, err := s.Passwords(); err == nil || got != nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: got %q, error %v, want %s", file, got, err, want)
		}
	}
}

// Settings are loaded anew under the flags of the start; the first binding stays
// what it was.
func TestReload(t *testing.T) {
	path := write(t, "x.yaml", "shards: 1\nlog_level: warn\n")
	s, b, err := load[config.Server](nil, "-c", path, "-k", "5s", "-n")
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"LDLM_SHARDS": "7", "LDLM_KEEPALIVE_INTERVAL": "9s"}
	var again config.Server
	now, err := b.Reload(&again, func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	want := s
	want.Shards = 7
	if again != want {
		t.Errorf("got %+v\nwant %+v", again, want)
	}
	if got := b.Changed(now); len(got) != 1 || got[0] != "shards" {
		t.Errorf("changed: %q", got)
	}
	if o := now.Origin("keepalive_interval"); o.Source != config.FromFlag {
		t.Errorf("a flag is now %v", o)
	}
	if o := b.Origin("nonsense"); o != (config.Origin{}) {
		t.Errorf("the origin of what there is not is %v", o)
	}
	env["LDLM_LOG_LEVEL"] = "loud"
	if _, err := b.Reload(&again, func(name string) string { return env[name] }); err == nil {
		t.Error("a level that there is not is loaded")
	}
}
