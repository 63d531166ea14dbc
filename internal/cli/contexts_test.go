package cli

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"
)

// home is a folder of settings.
func home(t *testing.T) (environment, string) {
	t.Helper()
	dir := t.TempDir()
	return environment{"XDG_CONFIG_HOME": dir}, filepath.Join(dir, "ldlm", "contexts.yaml")
}

func wantResult(t *testing.T, env environment, code int, stdout, stderr string, args ...string) {
	t.Helper()
	(&site{env: env}).wants(t, code, stdout, stderr, args...)
}

// Who adds a context at the same moment as others adds it to theirs.
func TestContextsAtTheSameMoment(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("folders cannot be locked there")
	}
	env, _ := home(t)
	const many = 30
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() { call(t, Ldlm, env, "context", "add", "c"+strconv.Itoa(i), "--address", "a:1") })
	}
	all.Wait()
	if got := strings.Count(call(t, Ldlm, env, "context", "ls", "-o", "name").stdout, "\n"); got != many {
		t.Errorf("of %d contexts %d are left", many, got)
	}
}

func TestContexts(t *testing.T) {
	env, path := home(t)
	wantResult(t, env, 0, "CURRENT  NAME  ADDRESS  ENCRYPTED  PASSWORD FILE\n", "", "context", "ls")
	wantResult(t, env, 1, "", "there is no context \"prod\", and no other; make one: ldlm context add prod --address HOST:PORT\n", "context", "use", "prod")
	wantResult(t, env, 0, "", "", "context", "add", "dev", "--address", "127.0.0.1:3144", "--use")
	wantResult(t, env, 0, "", "", "context", "add", "prod", "--address", "a:1,b:2", "--tls", "--password-file", "/etc/secret")
	wantResult(t, env, 1, "", "there is a context \"prod\" already; --replace replaces it\n", "context", "add", "prod", "--address", "c:1")
	wantResult(t, env, 0, "*        dev   127.0.0.1:3144  no         -\n         prod  a:1,b:2         yes        /etc/secret\n", "", "context", "ls")
	wantResult(t, env, 0, "", "", "context", "use", "prod")
	wantResult(t, env, 0, "*        prod", "", "context", "ls")
	wantResult(t, env, 1, "", "there is no context \"nope\"; there are: dev, prod\n", "context", "rm", "nope")
	wantResult(t, env, 0, "", "", "context", "add", "prod", "--address", "c:1", "--replace")
	want := "current: prod\ncontexts:\n  dev:\n    address: 127.0.0.1:3144\n  prod:\n    address: c:1\n"
	if text, err := os.ReadFile(path); err != nil || string(text) != want {
		t.Errorf("the file is\n%s%v\nwant\n%s", text, err, want)
	}
	wantResult(t, env, 0, "", "", "context", "rm", "prod")
	wantResult(t, env, 0, "dev\n", "", "context", "ls", "-o", "name")
	if strings.Contains(call(t, Ldlm, env, "context", "ls").stdout, "*") {
		t.Error("what was removed is still the current one, or another is")
	}
	wantResult(t, env, 0, "", "", "context", "use", "dev")
	wantResult(t, env, 0, "", "", "context", "use", "--none")
	wantResult(t, env, 64, "", "want NAME, or --none", "context", "use")
	wantResult(t, env, 64, "", "want NAME, or --none", "context", "use", "dev", "--none")
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder has %v, %v", entries, err)
	}
}

func TestContextsFileIsItsOwners(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("has other permissions")
	}
	env, path := home(t)
	wantResult(t, env, 0, "", "", "context", "add", "dev", "--address", "x:1")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	wantResult(t, env, 0, "", "", "context", "use", "dev")
	for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): os.ModeDir | 0o700} {
		if info, err := os.Stat(p); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v; want %v", p, info.Mode(), err, want)
		}
	}
}

func TestBadContexts(t *testing.T) {
	env, _ := home(t)
	for args, want := range map[string]string{
		"add x":                                "--address is missing",
		"add":                                  "NAME is missing",
		"add x --address 1:2:3":                "1:2:3",
		"add x --address a:1 --tls-ca /nope":   "--tls-ca: ",
		"add x --address a:1 --tls-cert /nope": "--tls-cert and --tls-key go together",
		"add a\x1b --address a:1":              "NAME has control characters",
		"rm":                                   "NAME is missing",
		"frob":                                 "there is no command \"frob\"",
	} {
		wantResult(t, env, 64, "", want, append([]string{"context"}, strings.Fields(args)...)...)
	}
	wantResult(t, environment{}, 1, "", "there is no place for the file of contexts: set $HOME or $XDG_CONFIG_HOME\n", "context", "add", "x", "--address", "a:1")
	wantResult(t, environment{}, 0, "CURRENT", "", "context", "ls")
}

// A file that somebody has spoiled stops every command that might need it, and
// says where the mistake is.
func TestMalformedContexts(t *testing.T) {
	env, path := home(t)
	wantResult(t, env, 0, "", "", "context", "add", "dev", "--address", "x:1")
	for text, want := range map[string]string{
		"contexts: [a":                     "line 1: did not find expected ',' or ']'",
		"contexts:\n  a:\n    port: x":     "line 3: field port not found",
		"contexts:\n  a: 7":                "line 2: cannot unmarshal !!int `7` into a context",
		"current: [x]":                     "line 1: cannot unmarshal !!seq into string",
		"contexts:\n  a: {}\n  a: {}":      "already defined",
		"\x00":                             "control characters are not allowed",
		"current: gone\ncontexts: {a: {}}": "",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if want == "" {
			wantResult(t, env, 64, "", "ldlm: there is no context \"gone\"; there are: a\n", "ls")
			continue
		}
		for args, code := range map[string]int{"ls": 64, "context ls": 1, "context use a": 1} {
			got := call(t, Ldlm, env, strings.Fields(args)...)
			if got.code != code || got.stdout != "" || !strings.HasPrefix(got.stderr, "ldlm: "+path+": ") || !strings.Contains(got.stderr, want) ||
				!strings.HasSuffix(got.stderr, "\nMend it, or remove it and begin anew: ldlm context add\n") {
				t.Errorf("%q, ldlm %s: got %+v, want %q", text, args, got, want)
			}
		}
		if left, err := os.ReadFile(path); err != nil || string(left) != text {
			t.Errorf("%q became %q, %v", text, left, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	wantResult(t, env, 64, "", "ldlm: cannot read the file of contexts: ", "ls")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantResult(t, env, 0, "CURRENT", "", "context", "ls")
}

// Which of flags, variables and contexts is used where.
func TestWhatIsUsed(t *testing.T) {
	env, _ := home(t)
	secrets := t.TempDir()
	secret := func(name string) string {
		path := filepath.Join(secrets, name)
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, name := range []string{"one", "two"} {
		wantResult(t, env, 0, "", "", "context", "add", name, "--address", name+":1", "--password-file", secret(name))
	}
	for _, c := range []struct {
		current    string
		env        environment
		flags      string
		address    string
		password   string
		unreadable bool
	}{
		{"", nil, "", defaultAddress, "", false},
		{"", environment{"LDLM_ADDRESS": "env:1", "LDLM_PASSWORD": "p"}, "", "env:1", "p", false},
		{"", environment{"LDLM_ADDRESS": "env:1"}, "--address flag:1", "flag:1", "", false},
		{"one", nil, "", "one:1", "one", false},
		{"one", environment{"LDLM_PASSWORD": "p"}, "", "one:1", "one", false},
		// The current context's password is not sent to another server.
		{"one", environment{"LDLM_ADDRESS": "env:1"}, "", "env:1", "", false},
		{"one", nil, "--address flag:1", "flag:1", "", false},
		{"one", environment{"LDLM_ADDRESS": "one:1"}, "", "one:1", "one", false},
		{"one", environment{"LDLM_CONTEXT": "two"}, "", "two:1", "two", false},
		{"one", environment{"LDLM_CONTEXT": "two", "LDLM_ADDRESS": "env:1"}, "", "env:1", "two", false},
		{"one", environment{"LDLM_CONTEXT": "one", "LDLM_ADDRESS": "env:1"}, "--context two", "two:1", "two", false},
		{"one", nil, "--context two --address flag:1", "flag:1", "two", false},
		{"one", nil, "--context two --password-file " + secret("three"), "two:1", "three", false},
		{"one", nil, "--context gone", "", "", true},
		{"one", environment{"LDLM_CONTEXT": "gone"}, "", "", "", true},
	} {
		use := []string{"context", "use", "--none"}
		if c.current != "" {
			use = []string{"context", "use", c.current}
		}
		wantResult(t, env, 0, "", "", use...)
		all := environment{}
		for _, e := range []environment{env, c.env} {
			maps.Copy(all, e)
		}
		f, err := settled(t, all, strings.Fields(c.flags)...)
		if (err != nil) != c.unreadable || err == nil && (f.connection.Address != c.address || f.password != c.password) {
			t.Errorf("%+v: %s, password %q, %v", c, f.connection.Address, f.password, err)
		}
	}
}

// settled returns what a command that asks a server makes of flags.
func settled(t *testing.T, env environment, flags ...string) (*clientFlags, error) {
	t.Helper()
	f := addClientFlags(&Process{Getenv: env.in("")}, &cobra.Command{})
	if err := f.flags.Parse(flags); err != nil {
		t.Fatal(err)
	}
	return f, f.settle()
}

func TestConnectionAsJSON(t *testing.T) {
	b, err := json.Marshal(contextEntry{"a", true, connection{Address: "x:1", TLSCA: "/ca"}})
	if got, want := string(b), `{"name":"a","current":true,"address":"x:1","tls_ca":"/ca"}`; err != nil || got != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}
