package config_test

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/ldlm-io/ldlm/internal/config"
)

// load parses a command line and an environment as a command does.
func load[T any](env map[string]string, args ...string) (T, *config.Binding, error) {
	var settings T
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	b := config.Bind(flags, &settings)
	if err := flags.Parse(args); err != nil {
		return settings, b, err
	}
	return settings, b, b.Load(func(name string) string { return env[name] })
}

func mustLoad(t *testing.T, env map[string]string, args ...string) config.Server {
	t.Helper()
	s, _, err := load[config.Server](env, args...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDefaults(t *testing.T) {
	want := config.Server{
		ListenAddress: "localhost:3144", KeepaliveInterval: time.Minute, KeepaliveTimeout: 10 * time.Second,
		IPCSocketFile: config.PlatformSpecific, LockGCInterval: 30 * time.Minute, LockGCMinIdle: 5 * time.Minute,
		DefaultLockTimeout: 10 * time.Minute, Shards: 16, LogLevel: "info", LogFormat: "auto",
		RESTSessionTimeout: 10 * time.Minute, SocketMode: "0660", ShutdownTimeout: 10 * time.Second,
		MaxSessions: 1_000_000, MaxLocks: 10_000_000, MaxWaiters: 10_000_000, MaxWaitersPerLock: 1_000_000, MaxBytes: 4 << 30,
		MaxRESTConnections: 8192,
	}
	if got := mustLoad(t, nil); got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	dev, _, err := load[config.Dev](map[string]string{"LDLM_LISTEN_ADDRESS": "0.0.0.0:1", "LDLM_LOG_LEVEL": "debug"})
	if err != nil {
		t.Fatal(err)
	}
	if dev.ListenAddress != "127.0.0.1:3144" || dev.LogLevel != "warn" {
		t.Errorf("dev took settings from the environment, or has other defaults: %+v", dev)
	}
}

// Spellings that programs and people have used with version 1.
func TestSpellings(t *testing.T) {
	for _, c := range []struct {
		args string
		want func(*config.Server) bool
	}{
		{"--listen_address 0.0.0.0:1", func(s *config.Server) bool { return s.ListenAddress == "0.0.0.0:1" }},
		{"--listen_address=0.0.0.0:1", func(s *config.Server) bool { return s.ListenAddress == "0.0.0.0:1" }},
		{"--listen-address=0.0.0.0:1", func(s *config.Server) bool { return s.ListenAddress == "0.0.0.0:1" }},
		{"--listen_address=", func(s *config.Server) bool { return s.ListenAddress == "" }},
		{"-l 0.0.0.0:1", func(s *config.Server) bool { return s.ListenAddress == "0.0.0.0:1" }},
		{"-l=0.0.0.0:1", func(s *config.Server) bool { return s.ListenAddress == "0.0.0.0:1" }},
		{"-l0.0.0.0:1", func(s *config.Server) bool { return s.ListenAddress == "0.0.0.0:1" }},
		{"-n", func(s *config.Server) bool { return s.NoClearOnDisconnect }},
		{"-n=false", func(s *config.Server) bool { return !s.NoClearOnDisconnect }},
		{"--no_clear_on_disconnect", func(s *config.Server) bool { return s.NoClearOnDisconnect }},
		{"--no-clear-on-disconnect=T", func(s *config.Server) bool { return s.NoClearOnDisconnect }},
		{"--no_clear_on_disconnect=false", func(s *config.Server) bool { return !s.NoClearOnDisconnect }},
		{"-nk5s", func(s *config.Server) bool { return s.NoClearOnDisconnect && s.KeepaliveInterval == 5*time.Second }},
		{"-k 1h2m3s", func(s *config.Server) bool {
			return s.KeepaliveInterval == time.Hour+2*time.Minute+3*time.Second
		}},
		{"-g -1s -m 300ms", func(s *config.Server) bool {
			return s.LockGCInterval == -time.Second && s.LockGCMinIdle == 300*time.Millisecond
		}},
		{"--shards 0", func(s *config.Server) bool { return s.Shards == 0 }},
		{"ignored -v debug also", func(s *config.Server) bool { return s.LogLevel == "debug" }},
		{"-v info -v error", func(s *config.Server) bool { return s.LogLevel == "error" }},
	} {
		if s := mustLoad(t, nil, strings.Fields(c.args)...); !c.want(&s) {
			t.Errorf("%s: got %+v", c.args, s)
		}
	}
}

func TestFlagWinsOverEnvironmentOverDefault(t *testing.T) {
	env := map[string]string{
		"LDLM_LISTEN_ADDRESS": "env:1", "LDLM_KEEPALIVE_INTERVAL": "7s", "LDLM_SHARDS": "3",
		"LDLM_NO_CLEAR_ON_DISCONNECT": "true", "LDLM_IPC_SOCKET_FILE": "", "LDLM_LOG_LEVEL": "error",
		"LDLM_NOBODY_KNOWS_ME": "x", "LDLM_HELP": "true",
	}
	s := mustLoad(t, env, "-l", "flag:2", "--no_clear_on_disconnect=false")
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"a flag wins", s.ListenAddress, "flag:2"},
		{"a flag wins though it says what the default says", s.NoClearOnDisconnect, false},
		{"the environment wins over the default: duration", s.KeepaliveInterval, 7 * time.Second},
		{"the environment wins over the default: number", s.Shards, uint32(3)},
		{"the environment wins over the default: level", s.LogLevel, config.Level("error")},
		{"an empty variable is none", s.IPCSocketFile, config.PlatformSpecific},
		{"help has no variable", s.Help, false},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", c.what, c.got, c.want)
		}
	}
	if s := mustLoad(t, nil, "--ipc_socket_file", ""); s.IPCSocketFile != "" {
		t.Errorf("an empty flag is a value, but the socket file is %q", s.IPCSocketFile)
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ args, env, value, want string }{
		{args: "--nope", want: `unknown flag: --nope`},
		{args: "--no-such", want: `unknown flag: --no-such`},
		{args: "-Z", want: `unknown shorthand flag: 'Z' in -Z`},
		{args: "--listen_address", want: `flag needs an argument: --listen_address`},
		{args: "-g soon", want: `invalid argument "soon" for "-g, --lock_gc_interval" flag: time: invalid duration "soon"`},
		{args: "-v loud", want: `invalid argument "loud" for "-v, --log_level" flag: invalid Level: "loud"`},
		{args: "-v INFO", want: `log_level must be one of debug, info, warn, error`},
		{args: "-v warn+1", want: `log_level must be one of debug, info, warn, error`},
		{args: "--shards=-1", want: `invalid argument "-1" for "--shards" flag: strconv.ParseUint: parsing "-1": invalid syntax`},
		{args: "-n=maybe", want: `invalid argument "maybe" for "-n, --no_clear_on_disconnect" flag: strconv.ParseBool: parsing "maybe": invalid syntax`},
		{env: "LDLM_LOCK_GC_INTERVAL", value: "soon", want: `setFromEnv(): error setting value of field LockGcInterval: time: invalid duration "soon"`},
		{env: "LDLM_LOG_LEVEL", value: "loud", want: `setFromEnv(): error setting value of field LogLevel: invalid Level: "loud"`},
		{env: "LDLM_LOG_LEVEL", value: "Warn", want: `log_level must be one of debug, info, warn, error`},
		{env: "LDLM_SHARDS", value: "many", want: `setFromEnv(): error setting value of field Shards: strconv.ParseUint: parsing "many": invalid syntax`},
	} {
		_, _, err := load[config.Server](map[string]string{c.env: c.value}, strings.Fields(c.args)...)
		if err == nil {
			t.Errorf("%s %s=%s: no error, want %s", c.args, c.env, c.value, c.want)
			continue
		}
		first, more, _ := strings.Cut(err.Error(), "\n")
		if first != c.want || c.env != "" && !strings.Contains(more, c.env) {
			t.Errorf("%s %s=%s: got error %v\nwant %s", c.args, c.env, c.value, err, c.want)
		}
	}
}

// The names that version 1 gave to flags and variables, and that every setting
// of the same program must follow.
func TestTagsAreComplete(t *testing.T) {
	for f := range reflect.TypeFor[config.Server]().Fields() {
		checkTags(t, f, true)
	}
	for f := range reflect.TypeFor[config.Dev]().Fields() {
		checkTags(t, f, false)
	}
}

func checkTags(t *testing.T, f reflect.StructField, hasEnv bool) {
	t.Helper()
	name, env := f.Tag.Get("name"), ""
	if hasEnv && name != "help" && f.Tag.Get("hidden") == "" {
		env = "LDLM_" + strings.ToUpper(name)
	}
	if got := f.Tag.Get("env"); got != env {
		t.Errorf("%s: variable %q, want %q", name, got, env)
	}
	if got := strings.ReplaceAll(name, "_", ""); !strings.EqualFold(got, f.Name) {
		t.Errorf("%s is called %s", f.Name, name)
	}
	help := f.Tag.Get("help")
	if help == "" || f.Tag.Get("group") == "" || strings.HasSuffix(help, ".") || strings.Contains(help, "`") {
		t.Errorf("%s: help %q in group %q", name, help, f.Tag.Get("group"))
	}
}

func TestUsage(t *testing.T) {
	_, server, err := load[config.Server](nil)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "usage.txt", server.Usage())
	golden(t, "usage_grouped.txt", server.GroupedUsage())
}

// golden compares with a file of testdata, and writes it if LDLM_REWRITE is set.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
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
		t.Errorf("%s differs; LDLM_REWRITE=1 writes it anew. Got:\n%s", path, got)
	}
}

func TestBindPanics(t *testing.T) {
	for name, settings := range map[string]any{
		"a type without flags": &struct {
			Ratio float64 `name:"ratio"`
		}{},
		"a default that is none": &struct {
			Wait time.Duration `name:"wait" default:"soon"`
		}{},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			config.Bind(pflag.NewFlagSet("test", pflag.ContinueOnError), settings)
		}()
	}
}

func TestLevel(t *testing.T) {
	for word, want := range map[config.Level]slog.Level{
		"": slog.LevelInfo, "debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	} {
		if got := word.Level(); got != want {
			t.Errorf("%q is %v, want %v", word, got, want)
		}
	}
}

func TestSocketFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no default on windows")
	}
	for _, c := range []struct{ setting, tmp, want string }{
		{config.PlatformSpecific, "", "/tmp/ldlm-ipc.sock"},
		{config.PlatformSpecific, "/var/tmp", "/var/tmp/ldlm-ipc.sock"},
		{"", "/var/tmp", ""},
		{"/run/ldlm.sock", "/var/tmp", "/run/ldlm.sock"},
	} {
		if got := config.SocketFile(c.setting, func(string) string { return c.tmp }); got != c.want {
			t.Errorf("SocketFile(%q) with TMPDIR=%q: got %q, want %q", c.setting, c.tmp, got, c.want)
		}
	}
}
