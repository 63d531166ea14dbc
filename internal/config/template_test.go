package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ldlm-io/ldlm/internal/config"
)

// What version 1 has, in the order of its YAML template.
var versionOne = []string{
	"version", "log_level", "shards", "lock_gc_interval", "lock_gc_min_idle", "default_lock_timeout",
	"no_clear_on_disconnect", "ipc_socket_file", "state_file", "keepalive_interval", "keepalive_timeout", "listen_address",
	"rest_listen_address", "rest_session_timeout", "tls_cert", "tls_key", "client_cert_verify", "client_ca", "password",
}

// Letters and defaults that version 1 has.
func TestVersionOneIsThere(t *testing.T) {
	shorts := map[string]string{
		"config_file": "c", "default_lock_timeout": "d", "help": "h", "keepalive_interval": "k", "keepalive_timeout": "t",
		"listen_address": "l", "lock_gc_interval": "g", "lock_gc_min_idle": "m", "log_level": "v", "no_clear_on_disconnect": "n",
		"rest_listen_address": "r", "state_file": "s",
	}
	all := append([]string{"config_file", "help", "print_yaml_template", "print_env_template"}, versionOne...)
	for f := range reflect.TypeFor[config.Server]().Fields() {
		name := f.Tag.Get("name")
		if old := slices.Contains(all, name); old == (f.Tag.Get("since") != "") {
			t.Errorf("%s: of version 1: %v, but since %q", name, old, f.Tag.Get("since"))
		}
		if got := f.Tag.Get("short"); got != shorts[name] {
			t.Errorf("%s has the letter %q, want %q", name, got, shorts[name])
		}
		all = slices.DeleteFunc(all, func(s string) bool { return s == name })
	}
	if len(all) > 0 {
		t.Errorf("there is no %q", all)
	}
}

func template(t *testing.T, f config.Format, args ...string) string {
	t.Helper()
	_, b, err := load[config.Server](nil, args...)
	if err != nil {
		t.Fatal(err)
	}
	text, err := b.Template(f, args)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// keys returns what a pattern finds at the beginnings of lines.
func keys(text, pattern string) []string {
	var all []string
	for _, m := range regexp.MustCompile("(?m)^"+pattern).FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

func TestYAMLTemplate(t *testing.T) {
	text := template(t, config.YAML, "-v", "warn", "--password=a b", "-s", "yes: no")
	if head := "# Generated with\n# [-v warn --password=a b -s yes: no]\n\n# show the version and exit\nversion: false\n\n# least level "; !strings.HasPrefix(text, head) {
		t.Errorf("it does not begin with\n%s", head)
	}
	for _, line := range []string{
		"log_level: warn", "lock_gc_interval: 30m0s", "tls_cert: \"\"", "shards: 16", "ipc_socket_file: <platform specific>",
		"listen_address: localhost:3144", "password: a b", "state_file: 'yes: no'", "client_cert_verify: false",
	} {
		if !strings.Contains(text, "\n"+line+"\n\n") {
			t.Errorf("no line %s", line)
		}
	}
	got := keys(text, `(\w+): `)
	if n := len(versionOne); len(got) <= n || !slices.Equal(got[:n], versionOne) {
		t.Errorf("the keys are\n%q\nwant first\n%q", got, versionOne)
	}
}

func TestEnvTemplate(t *testing.T) {
	text := template(t, config.Environment, "--password", "a\"$b`\\", "--ipc-socket-file=")
	for _, part := range []string{
		"# Generated with\n# [--password a\"$b`\\ --ipc-socket-file=]\n\n# certificates ",
		"\nLDLM_LOG_LEVEL=\"info\"\n\n", "\nLDLM_PASSWORD=\"a\\\"\\$b\\`\\\\\"\n\n", "\nLDLM_VERSION=\"false\"\n\n",
		"\n# An empty variable counts as none: only a flag or a file can say that there is no value.\nLDLM_IPC_SOCKET_FILE=\"\"\n\n",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
	got := keys(text, `LDLM_(\w+)="`)
	old := append([]string{"config_file"}, versionOne...)
	slices.Sort(old)
	if n := len(old); len(got) <= n || !slices.Equal(got[:n], strings.Fields(strings.ToUpper(strings.Join(old, " ")))) || !slices.IsSorted(got[n:]) {
		t.Errorf("the variables are\n%q\nwant first\n%q", got, old)
	}
}

// A text that looks like something else is the same after it was written down.
func TestTemplatesReadBack(t *testing.T) {
	for _, text := range []string{
		"", "null", "~", "true", "1.0", "0x1", " a ", "a: b", "# a", "a #b", "- a", "'", "\"", "{}", "[", "*a", "&a", "!x", "|", ">", "%",
		"@", "`", "a\nb\n", "\t", "\x00", "\u0085", "\u2028", "é", "🔒", "---", "...", "<<", "=", "2020-01-01", strings.Repeat("long words ", 50), "\\n",
	} {
		var args []string
		for f := range reflect.TypeFor[config.Server]().Fields() {
			if f.Type.Kind() == reflect.String && f.Tag.Get("enum") == "" && f.Tag.Get("name") != "config_file" {
				args = append(args, "--"+f.Tag.Get("name")+"="+text)
			}
		}
		s, b, err := load[config.Server](nil, args...)
		if err != nil {
			t.Fatal(err)
		}
		readBack(t, b, &s)
	}
}

// The reference in docs is that of this struct.
func TestReferenceIsCurrent(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	got := template(t, config.Markdown)
	if string(text) != got {
		t.Error("docs/configuration.md is not what the struct says: run make docs")
	}
	for f := range reflect.TypeFor[config.Server]().Fields() {
		if hidden := f.Tag.Get("hidden") != ""; strings.Contains(got, "\n### "+f.Tag.Get("name")+"\n") == hidden {
			t.Errorf("%s is hidden: %v, but the reference differs", f.Tag.Get("name"), hidden)
		}
	}
}

func TestNoSuchFormat(t *testing.T) {
	_, b, err := load[config.Server](nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Template("toml", nil); err == nil {
		t.Error("a format that there is not is written")
	}
}
