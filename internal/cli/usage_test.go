package cli

import (
	"runtime/debug"
	"strings"
	"testing"
)

// Everything that answers without a server: help, versions, what is misused.

func TestHelp(t *testing.T) {
	for _, c := range []struct {
		name    string
		program func(Process) int
		args    []string
	}{
		{"ldlm.txt", Ldlm, []string{""}},
		{"ldlm.txt", Ldlm, []string{"-h", "--help", "-help", "help"}},
		{"ldlm_server.txt", Ldlm, []string{"server --help", "server -h", "server -help", "help server", "server -n -h x"}},
		{"ldlm_dev.txt", Ldlm, []string{"dev --help", "dev -h", "dev -help", "help dev"}},
		{"ldlm_version.txt", Ldlm, []string{"version --help", "version -help"}},
		{"ldlm-server.txt", LdlmServer, []string{"--help", "-h", "-help", "-l x:1 -help", "x --help", "--help --version"}},
		{"ldlm-lock.txt", LdlmLock, []string{"--help", "-h", "-help", "-h frob"}},
		{"ldlm-lock_list.txt", LdlmLock, []string{"list --help", "-h list", "list -help"}},
		{"ldlm-lock_unlock.txt", LdlmLock, []string{"unlock --help", "unlock a k -h"}},
	} {
		for _, args := range c.args {
			r := call(t, c.program, nil, strings.Fields(args)...)
			if r.code != 0 || r.stderr != "" {
				t.Errorf("%s: exit code %d, stderr %q", args, r.code, r.stderr)
			}
			golden(t, c.name, r.stdout)
		}
	}
}

func TestCompatibleHelp(t *testing.T) {
	out := call(t, LdlmServer, nil, "--help").stdout
	if first, _, _ := strings.Cut(out, "\n"); first != "Command usage:" {
		t.Errorf("the first line is %q", first)
	}
	for _, part := range []string{
		"\n  -g, --lock_gc_interval duration ", "\n      --password string ", "(default 10m0s)\n",
		`(default "localhost:3144")`, "\n  -n, --no_clear_on_disconnect  ", "--log_level Level ",
	} {
		if !strings.Contains(out, part) {
			t.Errorf("help has no %q:\n%s", part, out)
		}
	}
	out = call(t, LdlmLock, nil, "--help").stdout
	for _, part := range []string{
		"Usage: ldlm-lock <command> [flags]\n", "  -h, --help ", "  -s, --socket=STRING ",
		"  unlock <lock-name> [<key>] [flags]\n    Unlock a lock\n", "  list [flags]\n    List locks\n",
	} {
		if !strings.Contains(out, part) {
			t.Errorf("help has no %q:\n%s", part, out)
		}
	}
}

func TestMisusedFlags(t *testing.T) {
	for _, c := range []struct{ args, text string }{
		{"--nope", "unknown flag: --nope"},
		{"-Z", "unknown shorthand flag: 'Z' in -Z"},
		{"--listen_address", "flag needs an argument: --listen_address"},
		{"-g soon", `invalid argument "soon" for "-g, --lock_gc_interval" flag: time: invalid duration "soon"`},
		{"-v loud", `invalid argument "loud" for "-v, --log_level" flag: invalid Level: "loud"`},
	} {
		args := strings.Fields(c.args)
		old := call(t, LdlmServer, nil, args...)
		if want := call(t, LdlmServer, nil, "--help").stdout; old.code != 1 || old.stderr != c.text+"\n" || old.stdout != want {
			t.Errorf("ldlm-server %s: exit code %d, stderr %q, stdout %.40q", c.args, old.code, old.stderr, old.stdout)
		}
		now := call(t, Ldlm, nil, append([]string{"server"}, args...)...)
		if want := call(t, Ldlm, nil, "server", "--help").stdout; now.code != 64 || now.stderr != c.text+"\n" || now.stdout != want {
			t.Errorf("ldlm server %s: exit code %d, stderr %q, stdout %.40q", c.args, now.code, now.stderr, now.stdout)
		}
	}
}

func TestBadConfiguration(t *testing.T) {
	for _, c := range []struct {
		env  environment
		args string
		text string
	}{
		{environment{"LDLM_LOCK_GC_INTERVAL": "soon"}, "", `setFromEnv(): error setting value of field LockGcInterval: time: invalid duration "soon"`},
		{environment{"LDLM_LOG_LEVEL": "INFO"}, "", "log_level must be one of debug, info, warn, error"},
		{nil, "-v WARN", "log_level must be one of debug, info, warn, error"},
	} {
		for name, r := range map[string]result{
			"ldlm-server": call(t, LdlmServer, c.env, strings.Fields(c.args)...),
			"ldlm server": call(t, Ldlm, c.env, append([]string{"server"}, strings.Fields(c.args)...)...),
		} {
			if want := "error parsing configuration: " + c.text + "\n"; r.code != 1 || !strings.HasPrefix(r.stderr, want) || r.stdout != "" {
				t.Errorf("%s: exit code %d, stdout %q, stderr\n%swant\n%s", name, r.code, r.stdout, r.stderr, want)
			}
		}
	}
}

func TestOnePlaceForLocks(t *testing.T) {
	for name, r := range map[string]result{
		"flag":     call(t, LdlmServer, nil, "-s", "/nowhere/state", "--data_dir", "/nowhere/data"),
		"variable": call(t, Ldlm, environment{"LDLM_STATE_FILE": "/nowhere/state", "LDLM_DATA_DIR": "/nowhere/data"}, "server"),
	} {
		if r.code != 1 || r.stdout != "" || !strings.Contains(r.stderr, "state_file and data_dir both say where locks are kept: leave one of them out") ||
			!strings.Contains(r.stderr, "/nowhere/state.d") || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q", name, r.code, r.stdout, r.stderr)
		}
	}
}

func TestMisusedCommands(t *testing.T) {
	for args, want := range map[string]string{
		"frob":         "ldlm: there is no command \"frob\"\nSee: ldlm --help\n",
		"serve":        "ldlm: there is no command \"serve\"; did you mean server?\nSee: ldlm --help\n",
		"zz":           "ldlm: there is no command \"zz\"\nSee: ldlm --help\n",
		"-Z":           "ldlm: unknown shorthand flag: 'Z' in -Z\nSee: ldlm --help\n",
		"--nope":       "ldlm: unknown flag: --nope\nSee: ldlm --help\n",
		"version x":    "ldlm version: takes no arguments, but was given \"x\"\nSee: ldlm version --help\n",
		"server x":     "ldlm server: takes no arguments, but was given \"x\"\nSee: ldlm server --help\n",
		"dev --nope":   "ldlm dev: unknown flag: --nope\nSee: ldlm dev --help\n",
		"dev -v loud":  "ldlm dev: invalid argument \"loud\" for \"-v, --log_level\" flag: invalid Level: \"loud\"\nSee: ldlm dev --help\n",
		"dev -v DEBUG": "ldlm dev: log_level must be one of debug, info, warn, error\nSee: ldlm dev --help\n",
	} {
		if r := call(t, Ldlm, nil, strings.Fields(args)...); r.code != 64 || r.stderr != want || r.stdout != "" {
			t.Errorf("ldlm %s: exit code %d, stdout %q, stderr\n%swant\n%s", args, r.code, r.stdout, r.stderr, want)
		}
	}
}

func TestVersion(t *testing.T) {
	want := call(t, Ldlm, nil, "version")
	lines := strings.Split(want.stdout, "\n")
	if want.code != 0 || want.stderr != "" || len(lines) != 4 ||
		!strings.HasPrefix(lines[0], "Version: ") || !strings.HasPrefix(lines[1], "Commit: ") || !strings.HasPrefix(lines[2], "Built: ") {
		t.Errorf("exit code %d, stderr %q, stdout\n%s", want.code, want.stderr, want.stdout)
	}
	for name, r := range map[string]result{
		"ldlm-server --version":   call(t, LdlmServer, nil, "--version"),
		"LDLM_VERSION=true":       call(t, LdlmServer, environment{"LDLM_VERSION": "true"}),
		"ldlm server --version":   call(t, Ldlm, nil, "server", "--version"),
		"ldlm --version":          call(t, Ldlm, nil, "--version"),
		"with other flags":        call(t, LdlmServer, nil, "-s", "x", "--version", "-v", "debug"),
		"a variable and the flag": call(t, LdlmServer, environment{"LDLM_VERSION": "false"}, "--version"),
	} {
		if r != want {
			t.Errorf("%s: got %+v, want %+v", name, r, want)
		}
	}
}

func TestBuildOf(t *testing.T) {
	stamped := &debug.BuildInfo{Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"},
	}}
	stamped.Main.Version = "v1.2.3"
	devel := &debug.BuildInfo{}
	devel.Main.Version = "(devel)"
	for _, c := range []struct {
		linked build
		info   *debug.BuildInfo
		want   build
	}{
		{build{}, stamped, build{"1.2.3", "abc, modified", "2026-01-02T03:04:05Z"}},
		{build{"9", "def", "today"}, stamped, build{"9", "def", "today"}},
		{build{}, devel, build{version: "devel"}},
		{build{}, &debug.BuildInfo{}, build{}},
	} {
		if c.linked.fill(c.info); c.linked != c.want {
			t.Errorf("got %+v, want %+v", c.linked, c.want)
		}
	}
}

func TestSwitchesBeforeTheCommand(t *testing.T) {
	nowhere := freePort(t)
	for _, first := range []string{"-q", "-v", "--quiet", "--tls", "--tls_skip_verify", "-q -v"} {
		args := append(strings.Fields(first), "ls", "--address", nowhere)
		if r := call(t, Ldlm, nil, args...); r.code != exitUnavailable {
			t.Errorf("%v: exit code %d, want %d\n%s", args, r.code, exitUnavailable, r.stderr)
		}
	}
}
