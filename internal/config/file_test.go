package config_test

import (
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

// loadText loads a file alone.
func loadText(t testing.TB, name, text string) (config.Server, string, error) {
	t.Helper()
	path := write(t, name, text)
	s, _, err := load[config.Server](nil, "-c", path)
	s.ConfigFile = ""
	return s, path, err
}

// Ways to write the same.
func TestFilesThatAreGood(t *testing.T) {
	defaults := mustLoad(t, nil)
	for _, c := range []struct {
		name, text string
		change     func(*config.Server)
	}{
		{"x.yaml", "", nil},
		{"x.yaml", "# nothing but this\n", nil},
		{"x.yaml", "---\n...\n", nil},
		{"x.yaml", "~", nil},
		{"x.yaml", "{}", nil},
		{"x.json", " {}\n", nil},
		{"x.yaml", "\ufeffshards: 3", func(s *config.Server) { s.Shards = 3 }},
		{"x.yaml", "shards: '3'", func(s *config.Server) { s.Shards = 3 }},
		{"x.yaml", "shards: 0x10\nlog_level: debug", func(s *config.Server) { s.LogLevel = "debug" }},
		{"x.yaml", "password: 007", func(s *config.Server) { s.Password = "007" }},
		{"x.yaml", "password: true", func(s *config.Server) { s.Password = "true" }},
		{"x.yaml", "password: \"\"\nlisten_address:\nlog_level: ~", nil},
		{"x.yaml", "ipc_socket_file: ''", func(s *config.Server) { s.IPCSocketFile = "" }},
		{"x.yaml", "ipc_socket_file: <platform specific>", nil},
		{"x.yaml", "{shards: 3, log-level: warn}", func(s *config.Server) { s.Shards, s.LogLevel = 3, "warn" }},
		{"x.yaml", "keepalive:\n  interval: 5s\n  timeout: 6s\nlock: {gc: {min-idle: 1h}}", func(s *config.Server) {
			s.KeepaliveInterval, s.KeepaliveTimeout, s.LockGCMinIdle = 5*time.Second, 6*time.Second, time.Hour
		}},
		{"x.yaml", "state_file: &p /x\ntls_key: *p", func(s *config.Server) { s.StateFile, s.TLSKey = "/x", "/x" }},
		{"x.yaml", "version: false", nil},
		{"x.json", `{"shards": 3, "client_cert_verify": true, "password": null}`, func(s *config.Server) { s.Shards, s.ClientCertVerify = 3, true }},
		{"x.json", `{"shards": "3", "client-cert-verify": "true"}`, func(s *config.Server) { s.Shards, s.ClientCertVerify = 3, true }},
		{"x.json", `{"keepalive": {"interval": "5s"}, "password": "a\u0022\nb"}`, func(s *config.Server) {
			s.KeepaliveInterval, s.Password = 5*time.Second, "a\"\nb"
		}},
		{"x.json", `{"password": 0.10}`, func(s *config.Server) { s.Password = "0.10" }},
		{"x.yaml", "lock_gc_interval: -1s\nshards: 0", func(s *config.Server) { s.LockGCInterval, s.Shards = -time.Second, 0 }},
	} {
		want := defaults
		if c.change != nil {
			c.change(&want)
		}
		if got, _, err := loadText(t, c.name, c.text); err != nil || got != want {
			t.Errorf("%s: %q: error %v, got %+v", c.name, c.text, err, got)
		}
	}
}

// Files that are not good: the first line is what version 1 said, where it said
// something; FILE stands for the path.
func TestFilesThatAreNot(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"x.toml", "shards = 3", "unsupported config file type: FILE. Supported file types are .json, .yml, .yaml"},
		{"x", "", "unsupported config file type: FILE. Supported file types are .json, .yml, .yaml"},
		{"x.yaml", "shards: 1\nshardz: 3", "unknown configuration file field: shardz\nFILE:2: did you mean shards?"},
		{"x.yaml", "frobnicate: 3", "unknown configuration file field: frobnicate\nFILE:1: see the reference of the configuration for what there is"},
		{"x.yaml", "Shards: 3", "unknown configuration file field: Shards\nFILE:1: did you mean shards?"},
		{"x.yaml", "keepalive:\n  intervall: 5s", "unknown configuration file field: keepalive_intervall\nFILE:2: did you mean keepalive_interval?"},
		{"x.json", "{\n\"listen\": {\"addr\": 1}}", "unknown configuration file field: listen_addr\nFILE:2: did you mean listen_address?"},
		{"x.yaml", "config_file: y.yaml", "unknown configuration file field: config_file\nFILE:1: only a flag or a variable says this"},
		{"x.yaml", "help: true", "unknown configuration file field: help\nFILE:1: only a flag or a variable says this"},
		{"x.yaml", "print_yaml_template: true", "unknown configuration file field: print_yaml_template\nFILE:1: only a flag or a variable says this"},
		{"x.yaml", "? [a, b]\n: c", "error parsing config file: a key must be a name\nFILE:1:3"},
		{"x.yaml", "'': c", "unknown configuration file field: ''\nFILE:1: see the reference of the configuration for what there is"},
		{"x.yaml", "shards: 1\n\nshards: 2", "error parsing config file: line 3: shards is already set in line 1\nFILE:3: leave one of them out"},
		{"x.yaml", "log_level: info\nlog-level: info", "error parsing config file: line 2: log_level is already set in line 1\nFILE:2: leave one of them out"},
		{"x.json", "{\"shards\": 1,\n\"shards\": 1}", "error parsing config file: line 2: shards is already set in line 1\nFILE:2: leave one of them out"},
		{"x.yaml", "keepalive_interval: 10", "unable to set value for keepalive_interval: time: missing unit in duration \"10\"\nFILE:1: A duration has a unit: write 10s if you mean seconds."},
		{"x.json", `{"keepalive_interval": 10}`, "unable to set value for keepalive_interval: time: missing unit in duration \"10\"\nFILE:1: A duration has a unit: write 10s if you mean seconds."},
		{"x.yaml", "shards: many", "unable to set value for shards: strconv.ParseUint: parsing \"many\": invalid syntax\nFILE:1: it takes a uint32"},
		{"x.yaml", "shards: 4294967296", "unable to set value for shards: strconv.ParseUint: parsing \"4294967296\": value out of range\nFILE:1: it takes a uint32"},
		{"x.yaml", "client_cert_verify: maybe", "unable to set value for client_cert_verify: strconv.ParseBool: parsing \"maybe\": invalid syntax\nFILE:1: it takes a bool"},
		{"x.yaml", "log_level: loud", "unable to set value for log_level: invalid Level: \"loud\"\nFILE:1: it takes a Level"},
		{"x.yaml", "shards: 1\nlog_level: INFO", "log_level must be one of debug, info, warn, error\nit is INFO, from file FILE:2"},
		{"x.yaml", "log_format: xml", "log_format must be one of auto, json, text\nit is xml, from file FILE:1"},
		{"x.yaml", "password: [a, b]", "unable to set value for password: a list is not a value\nFILE:1: password takes one value"},
		{"x.json", `{"password": ["a"]}`, "unable to set value for password: a list is not a value\nFILE:1: password takes one value"},
		{"x.yaml", "shards: {}", "unable to set value for shards: an empty group of keys is not a value\nFILE:1: shards takes one value"},
		{"x.json", `{"shards": {}}`, "unable to set value for shards: an empty group of keys is not a value\nFILE:1: shards takes one value"},
		{"x.yaml", "tls: &x {cert: a}\nshards: *x", "unable to set value for shards: an alias of something else than a value\nFILE:2: shards takes one value"},
		{"x.yaml", "a: &a\n  b: *a", "unknown configuration file field: a_b\nFILE:2: see the reference of the configuration for what there is"},
		{"x.yaml", "- shards", "error parsing config file: a configuration is a list of keys with values\nFILE:1:1"},
		{"x.yaml", "shards", "error parsing config file: a configuration is a list of keys with values\nFILE:1:1"},
		{"x.json", "[]", "error parsing config file: a configuration is an object of keys with values\nFILE:1:1"},
		{"x.json", "null", "error parsing config file: a configuration is an object of keys with values\nFILE:1:4"},
		{"x.yaml", "shards: 1\n---\nshards: 2", "error parsing config file: line 2: a second document begins; a configuration is one\nFILE"},
		{"x.yaml", "shards: 1\n  log_level: info", "error parsing config file: yaml: line 2: mapping values are not allowed in this context\nFILE"},
		{"x.yaml", "shards: *x", "error parsing config file: yaml: unknown anchor 'x' referenced\nFILE"},
		{"x.json", "{\n  \"shards\": 1,\n}", "error parsing config file: invalid character '}' looking for beginning of object key string\nFILE:3:1"},
		{"x.json", "{\"shards\": 1", "error parsing config file: unexpected end of JSON input\nFILE:1:12"},
		{"x.json", "", "error parsing config file: unexpected end of JSON input\nFILE:1:1"},
		{"x.json", "{} {}", "error parsing config file: invalid character '{' after top-level value\nFILE:1:4"},
		{"x.json", "{\"password\":\n \"\xff\"}", "error parsing config file: not UTF-8\nFILE:2:3"},
		{"x.json", strings.Repeat(`{"a":`, 9) + "1" + strings.Repeat("}", 9), "error parsing config file: keys are nested too deeply\nFILE:1:41"},
		{"x.yaml", strings.Repeat("{a: ", 9) + "1" + strings.Repeat("}", 9), "error parsing config file: keys are nested too deeply\nFILE:1:33"},
		{"x.yaml", "shardz: 1\nkeepalive_timeout: 10\n", "unknown configuration file field: shardz\nFILE:1: did you mean shards?\n" +
			"unable to set value for keepalive_timeout: time: missing unit in duration \"10\"\nFILE:2: A duration has a unit: write 10s if you mean seconds."},
	} {
		_, path, err := loadText(t, c.name, c.text)
		if want := strings.ReplaceAll(c.want, "FILE", path); err == nil || err.Error() != want {
			t.Errorf("%s: %q: got error\n%v\nwant\n%s", c.name, c.text, err, want)
		}
	}
}

// Values that are overridden are checked too: they would fail the day the flag
// is taken away.
func TestOverriddenValuesAreChecked(t *testing.T) {
	path := write(t, "x.yaml", "lock_gc_interval: soon")
	if _, _, err := load[config.Server](nil, "-c", path, "-g", "1s"); err == nil {
		t.Error("a value that cannot be is accepted because a flag overrides it")
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "folder.yaml")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	secret := write(t, "secret.yaml", "shards: 1")
	if err := os.Chmod(secret, 0); err != nil {
		t.Fatal(err)
	}
	huge := write(t, "huge.json", strings.Repeat(" ", 1<<20)+"{}")
	for path, want := range map[string]string{
		"/nowhere/x.yaml": "error reading config file /nowhere/x.yaml: open /nowhere/x.yaml: no such file or directory ",
		dir:               "error reading config file " + dir + ": read " + dir + ": is a directory ",
		secret:            "error reading config file " + secret + ": open " + secret + ": permission denied ",
		huge:              "error reading config file " + huge + ": " + huge + " is larger than 1048576 bytes ",
	} {
		if path == secret && (os.Geteuid() == 0 || runtime.GOOS == "windows") {
			continue // who may read everything
		}
		if _, _, err := load[config.Server](nil, "-c", path); err == nil || err.Error() != want {
			t.Errorf("got error %v\nwant %s", err, want)
		}
	}
}

// Many problems are not listed without end.
func TestManyProblems(t *testing.T) {
	text := strings.Builder{}
	for i := range 100 {
		text.WriteString(strings.Repeat("q", i+20) + ": 1\n")
	}
	_, _, err := loadText(t, "x.yaml", text.String())
	if err == nil || strings.Count(err.Error(), "unknown configuration file field") != 20 || !strings.HasSuffix(err.Error(), "\nand 80 more") {
		t.Errorf("got %v", err)
	}
}

// FuzzFile reads any file without a panic; and whatever was read can be written
// down and read again.
func FuzzFile(f *testing.F) {
	for _, text := range []string{
		"", "{}", "shards: 1\n", `{"shards": 1}`, "a: &a [*a]\n", "keepalive: {interval: 5s}\n", "? x\n: y\n", "--- |\n x\n...\n",
		`{"a": {"b": [1, {"c": null}]}, "password": "\u0000\ud800"}`, "password: \"\\u0085\\x07\\t\"\nstate_file: '#'\n", "<<: {shards: 1}\n",
	} {
		f.Add(text, true)
		f.Add(text, false)
	}
	f.Fuzz(func(t *testing.T, text string, isYAML bool) {
		name := "x.json"
		if isYAML {
			name = "x.yaml"
		}
		var got config.Server
		b := config.Bind(pflag.NewFlagSet("", pflag.ContinueOnError), &got)
		if err := b.LoadFile(write(t, name, text)); err != nil {
			if first, _, _ := strings.Cut(err.Error(), "\n"); first == "" {
				t.Errorf("an error without words: %q", err)
			}
			return
		}
		readBack(t, b, &got)
	})
}

// readBack writes settings down in each format that a file can have, and reads
// them again.
func readBack(t *testing.T, b *config.Binding, want *config.Server) {
	t.Helper()
	for _, format := range []config.Format{config.YAML, config.JSON} {
		text, err := b.Template(format, []string{"--x\n", "\u2028"})
		if err != nil {
			t.Fatal(err)
		}
		var got config.Server
		again := config.Bind(pflag.NewFlagSet("", pflag.ContinueOnError), &got)
		if err := again.LoadFile(write(t, "again."+string(format), text)); err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		if !reflect.DeepEqual(&got, want) {
			t.Errorf("%s: got\n%+v\nwant\n%+v\nfrom\n%s", format, got, *want, text)
		}
	}
}
