package cli

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// write makes a file of the test's own and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfigView(t *testing.T) {
	path := write(t, "ldlm.yaml", "# mine\nshards: 3\nlisten-address: 0.0.0.0:3144\npassword: swordfish\n")
	env := environment{"LDLM_LOG_LEVEL": "debug", "LDLM_CONFIG_FILE": path, "LDLM_SHARDS": ""}
	got := call(t, Ldlm, env, "config", "view", "-k", "5s")
	for _, line := range [][]string{
		{"listen_address", "0.0.0.0:3144", "file", path + ":3"},
		{"log_level", "debug", "env", "LDLM_LOG_LEVEL"},
		{"shards", "3", "file", path + ":2"},
		{"keepalive_interval", "5s", "flag", "--keepalive_interval"},
		{"keepalive_timeout", "10s", "default"},
		{"password", "********", "file", path + ":4"},
		{"config_file", path, "env", "LDLM_CONFIG_FILE"},
		{"state_file", "''", "default"},
	} {
		found := false
		for l := range strings.Lines(got.stdout) {
			found = found || strings.Join(strings.Fields(l), " ") == strings.Join(line, " ")
		}
		if !found {
			t.Errorf("no line %q in\n%s", line, got.stdout)
		}
	}
	if got.code != 0 || got.stderr != "" || strings.Contains(got.stdout, "swordfish") {
		t.Errorf("got %+v", got)
	}
}

func TestConfigViewAsJSON(t *testing.T) {
	secret := write(t, "secret", "swordfish\n")
	got := call(t, Ldlm, environment{"LDLM_PASSWORD_FILE": secret}, "config", "view", "-o", "json", "--shards", "0")
	var settings []map[string]any
	if err := json.Unmarshal([]byte(got.stdout), &settings); err != nil || got.code != 0 {
		t.Fatalf("got %+v, error %v", got, err)
	}
	byName := map[string]map[string]any{}
	for _, s := range settings {
		byName[s["name"].(string)] = s
	}
	for name, want := range map[string]map[string]any{
		"shards":             {"name": "shards", "value": 0.0, "source": "flag", "flag": "--shards"},
		"keepalive_interval": {"name": "keepalive_interval", "value": "1m0s", "value_ms": 60000.0, "source": "default"},
		"client_cert_verify": {"name": "client_cert_verify", "value": false, "source": "default"},
		"password":           {"name": "password", "value": "********", "source": "file", "file": secret},
		"password_file":      {"name": "password_file", "value": secret, "source": "env", "variable": "LDLM_PASSWORD_FILE"},
	} {
		if got := byName[name]; len(got) != len(want) {
			t.Errorf("got %v, want %v", got, want)
		}
		for k, v := range want {
			if byName[name][k] != v {
				t.Errorf("%s: %s is %v, want %v", name, k, byName[name][k], v)
			}
		}
	}
}

func TestConfigValidate(t *testing.T) {
	good := write(t, "good.yml", "shards: 3\nlog_level: warn\n")
	if got := call(t, Ldlm, environment{"LDLM_SHARDS": "no matter"}, "config", "validate", good); got.code != 0 || got.stderr != "" || !strings.HasPrefix(got.stdout, good+" is good: it sets 2 of ") {
		t.Errorf("got %+v", got)
	}
	bad := write(t, "bad.json", "{\n  \"shardz\": 1,\n  \"keepalive_timeout\": 10,\n  \"shards\": [1]\n}")
	want := "error parsing configuration: unknown configuration file field: shardz\n" + bad + ":2: did you mean shards?\n" +
		"unable to set value for keepalive_timeout: time: missing unit in duration \"10\"\n" +
		bad + ":3: A duration has a unit: write 10s if you mean seconds.\n" +
		"unable to set value for shards: a list is not a value\n" + bad + ":4: shards takes one value\n"
	if got := call(t, Ldlm, nil, "config", "validate", bad); got != (result{1, "", want}) {
		t.Errorf("got %+v\nwant %s", got, want)
	}
	for text, want := range map[string]string{
		"client_cert_verify: true":          "client TLS certificate verification requires server TLS to be configured",
		"password_file: /nowhere":           "password_file: open /nowhere: ",
		"password_file: /dev/null":          "password_file: /dev/null has no password in it",
		"listen_address: localhost":         "listen_address: address localhost: missing port in address",
		"tls_cert: /nowhere\ntls_key: /nor": "tls_cert: open /nowhere: ",
		"tls_cert: /dev/null":               "tls_cert needs tls_key",
		"log_level: INFO":                   "log_level must be one of debug, info, warn, error",
	} {
		path := write(t, "x.yaml", text)
		if got := call(t, Ldlm, nil, "config", "validate", path); got.code != 1 || got.stdout != "" || !strings.HasPrefix(got.stderr, "error parsing configuration: "+want) {
			t.Errorf("%s: got %+v", text, got)
		}
	}
}

// What is printed is read again to the same configuration, by a server and by a
// shell.
func TestPrintedTemplates(t *testing.T) {
	flags := []string{"-v", "warn", "-k", "90s", "--password", `a"b'c $HOME \x# ` + "`", "--shards=0", "-n", "--ipc_socket_file=/x y"}
	view := func(env environment, args ...string) string {
		t.Helper()
		got := call(t, Ldlm, env, append([]string{"config", "view", "-o", "json"}, args...)...)
		var settings []struct {
			Name  string `json:"name"`
			Value any    `json:"value"`
		}
		if err := json.Unmarshal([]byte(got.stdout), &settings); err != nil {
			t.Fatalf("%+v: %v", got, err)
		}
		text, err := json.Marshal(settings[1:]) // config_file differs
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	want := view(nil, flags...)
	printed := call(t, LdlmServer, nil, append(flags, "--print_yaml_template")...)
	if head := "# Generated with\n# [-v warn -k 90s "; printed.code != 0 || printed.stderr != "" || !strings.HasPrefix(printed.stdout, head) {
		t.Errorf("got %+v, want it to begin with\n%s", printed, head)
	}
	if got := view(nil, "-c", write(t, "x.yaml", printed.stdout)); got != want {
		t.Errorf("read from YAML:\n%s\nwant\n%s\nthe file is\n%s", got, want, printed.stdout)
	}
	printed = call(t, LdlmServer, nil, append(flags, "--print-env-template")...)
	if got := view(sourced(t, printed.stdout)); got != want {
		t.Errorf("read from variables:\n%s\nwant\n%s\nthey are\n%s", got, want, printed.stdout)
	}
}

// sourced returns the variables that a shell has after it has read a text.
func sourced(t *testing.T, text string) environment {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell")
	}
	c := exec.CommandContext(t.Context(), "sh", "-c", `set -a; . "$0"; env -0`, write(t, "x.env", text))
	c.Env = []string{"PATH=" + os.Getenv("PATH")}
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	env := environment{}
	for v := range strings.SplitSeq(string(out), "\x00") {
		if name, value, ok := strings.Cut(v, "="); ok && strings.HasPrefix(name, "LDLM_") {
			env[name] = value
		}
	}
	return env
}

func TestConfigTemplate(t *testing.T) {
	for _, format := range []string{"yaml", "json"} {
		out := call(t, Ldlm, environment{"LDLM_SHARDS": "3"}, "config", "template", "--format", format)
		path := write(t, "x."+format, out.stdout)
		if got := call(t, Ldlm, nil, "config", "validate", path); got.code != 0 || out.code != 0 || out.stderr != "" {
			t.Errorf("%s: got %+v of %+v", format, got, out)
		}
		if strings.Contains(out.stdout, "3\n") {
			t.Errorf("%s: the environment is in the defaults:\n%s", format, out.stdout)
		}
	}
	if got := call(t, Ldlm, nil, "config", "template", "--format", "toml"); got.code != 64 || !strings.Contains(got.stderr, "there are [yaml json env markdown]") {
		t.Errorf("got %+v", got)
	}
}

// The server takes its settings from a file, wherever the flag stands.
func TestServerWithFile(t *testing.T) {
	path := write(t, "ldlm.json", `{"listen_address": "127.0.0.1:0", "log_level": "warn", "password": "swordfish"}`)
	for _, args := range [][]string{{"-v", "info", "-c", path}, {"--config_file", path, "-v", "info"}} {
		r := startPlain(t, nil, args...)
		r.address(t)
		if log := r.stderr.String(); strings.Contains(log, "swordfish") {
			t.Errorf("the password is in the log:\n%s", log)
		}
	}
	got := call(t, LdlmServer, nil, "-c", "/nowhere/x.yaml")
	want := "error parsing configuration: error reading config file /nowhere/x.yaml: open /nowhere/x.yaml: no such file or directory \n"
	if got != (result{1, "", want}) {
		t.Errorf("got %+v\nwant %s", got, want)
	}
}

// Without a server there is nothing to reload, which is said as ldlm-lock says it.
func TestConfigOfNobody(t *testing.T) {
	dir := shortDir(t)
	for _, args := range [][]string{{"config", "reload"}, {"config", "log-level", "debug"}} {
		got := call(t, Ldlm, environment{"TMPDIR": dir}, args...)
		if got.code != 1 || got.stdout != "" || !strings.Contains(got.stderr, "dial unix "+filepath.Join(dir, "ldlm-ipc.sock")) {
			t.Errorf("%q: got %+v", args, got)
		}
	}
	for _, args := range [][]string{{"config", "log-level"}, {"config", "log-level", "INFO"}, {"config", "reload", "x"}, {"config", "validate"}, {"config", "view", "-o", "xml"}} {
		if got := call(t, Ldlm, nil, args...); got.code != 64 || got.stdout != "" || !strings.HasPrefix(got.stderr, "ldlm config ") {
			t.Errorf("%q: got %+v", args, got)
		}
	}
}

// What is about a configuration, a server's machine or the program is shown in the
// formats of all that is shown.
func TestLocalThingsInEveryFormat(t *testing.T) {
	for _, c := range []struct {
		args           string
		name           string // the first one
		template, want string
	}{
		{"config view", "config_file", `{{range .}}{{if eq .name "shards"}}{{.value}}{{end}}{{end}}`, "16\n"},
		{"doctor -l 127.0.0.1:0", "configuration", `{{(index . 0).verdict}}`, "ok\n"},
		{"version", currentBuild().version, `{{.commit}}`, currentBuild().commit + "\n"},
	} {
		run := func(format string) result {
			return call(t, Ldlm, nil, append(strings.Fields(c.args), "-o", format)...)
		}
		var fromJSON, fromYAML any
		if err := errors.Join(json.Unmarshal([]byte(run("json").stdout), &fromJSON), yaml.Unmarshal([]byte(run("yaml").stdout), &fromYAML)); err != nil {
			t.Errorf("%s: %v", c.args, err)
		}
		if got, want := first(likeJSON(fromYAML)), first(fromJSON); !reflect.DeepEqual(got, want) || want == nil {
			t.Errorf("%s begins in YAML with %v\nand in JSON with %v", c.args, got, want)
		}
		plain := call(t, Ldlm, nil, strings.Fields(c.args)...)
		for _, format := range []string{formatTable, formatWide} {
			if got, want := lineOf(run(format).stdout), lineOf(plain.stdout); got != want || want == "" {
				t.Errorf("%s -o %s begins with %q, and without -o with %q", c.args, format, got, want)
			}
		}
		if got := run("name"); got.code != 0 || !strings.HasPrefix(got.stdout, c.name+"\n") {
			t.Errorf("%s -o name: %+v", c.args, got)
		}
		if got := run(goTemplate + c.template); got != (result{stdout: c.want}) {
			t.Errorf("%s by a template: %+v, want %q", c.args, got, c.want)
		}
		if got := run("xml"); got.code != exitUsage || !strings.Contains(got.stderr, "want table, wide, json, yaml, name or go-template=TEMPLATE") {
			t.Errorf("%s -o xml: %+v", c.args, got)
		}
	}
}

// first is the first element of a list; what is none is it itself. The doctor may see
// the machine change between two looks, but not the configuration, with which it begins.
func first(v any) any {
	if list, ok := v.([]any); ok && len(list) > 0 {
		return list[0]
	}
	return v
}

// lineOf is the first line of a text.
func lineOf(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
