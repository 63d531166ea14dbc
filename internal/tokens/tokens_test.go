package tokens_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/tokens"
)

const hashA, hashB = "00000000000000000000000000000000000000000000000000000000000000aa", "00000000000000000000000000000000000000000000000000000000000000bb"

func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRead(t *testing.T) {
	got, err := tokens.Read(write(t, "# who\n\n  name=web role=client sha256="+hashA+" sha256="+hashB+
		" prefix=web/ prefix=\"to do/\" max_sessions=3 max_bytes=9\r\n"+
		"role=admin\tcertificate=cn:ops certificate=uri:spiffe://x/y name=ops@x"))
	if err != nil {
		t.Fatal(err)
	}
	want := []auth.Account{{
		Principal: auth.Principal{
			Name: "web", Role: auth.Client, Prefixes: []string{"web/", "to do/"}, Limits: auth.Limits{Sessions: 3, Bytes: 9},
		},
		Tokens: []auth.TokenHash{{31: 0xaa}, {31: 0xbb}},
	}, {
		Principal: auth.Principal{Name: "ops@x", Role: auth.Admin}, Certificates: []string{"cn:ops", "uri:spiffe://x/y"},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestWhatIsRefused(t *testing.T) {
	good := "name=web role=client sha256=" + hashA
	for _, c := range []struct{ text, says string }{
		{"", "is empty"}, {" \n\t", "is empty"}, {"name=\xff", "not UTF-8"},
		{good + "\n" + good, ":2: web is there in line 1 already"},
		{good + "\nname=b role=read sha256=" + hashA, ":2: web in line 1 has the same"},
		{"name=web rol=client", `:1: there is no field "rol"; did you mean role?`},
		{"name=web role=cleint", `:1: role: there is no role "cleint"; did you mean client?`},
		{"name=web name=x", ":1: name stands twice"},
		{"name=web role=client", "neither sha256 nor certificate"},
		{"role=client sha256=" + hashA, "name is missing"}, {"name=web sha256=" + hashA, "role is missing"},
		{"name=a/b role=client", "name: a name has"}, {"name= role=client", "name: a name has"},
		{"name=web sha256=12", "sha256: it is the 64 hexadecimal digits"},
		{"name=web certificate=web", "certificate: it is uri: or dns:"}, {"name=web certificate=dns:A", "small letters"},
		{good + " prefix=\"\"", "prefix: it is empty"}, {good + " prefix=\"a", "quoted as in Go"}, {good + " prefix=\"a\"b", "quoted as in Go"},
		{good + " prefix=a\"b", "quoted as a whole"},
		{good + " max_locks=0", "max_locks: it is a number"}, {good + " max_locks=-1", "number"}, {good + " max_lock=1", "did you mean max_locks?"},
		{"name=ops role=admin prefix=a sha256=" + hashA, "an admin may do everything"},
		{"name = web", "no field"}, {"=web", "NAME=VALUE"}, {strings.Repeat("# a comment\n", 100_000), "larger than"},
	} {
		path := write(t, c.text)
		if got, err := tokens.Read(path); err == nil || got != nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%.60q: %v, %v; want %q", c.text, got, err, c.says)
		}
	}
	if _, err := tokens.Read(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no file was read")
	}
}

// A token that somebody wrote where it does not belong is not in the error.
func TestErrorsHaveNoTokens(t *testing.T) {
	token, _ := auth.NewToken()
	for _, text := range []string{token, "name=web sha256=" + token, token + "=x", "name=web role=" + token, "name=web certificate=" + token} {
		_, err := tokens.Read(write(t, text))
		if err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("%v", err)
		}
	}
}

func TestRights(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("rights are not those nine bits")
	}
	path := write(t, "# nobody\n")
	if got, err := tokens.Read(path); err != nil || len(got) != 0 {
		t.Errorf("comments alone: %v, %v", got, err)
	}
	if err := os.Chmod(path, 0o606); err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.Read(path); err == nil || !strings.Contains(err.Error(), "everybody on this machine may write") {
		t.Error(err)
	}
}

// Whoever cannot read a file is told what to do.
func TestUnreadable(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	if _, err := tokens.Read(missing); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "token create --name NAME --file "+missing) {
		t.Errorf("a missing file: %v", err)
	}
	path := write(t, "# nobody\n")
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(path); err == nil {
		return // this user, or this system, reads everything
	}
	if _, err := tokens.Read(path); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "chgrp GROUP "+path) {
		t.Errorf("a file of somebody else: %v", err)
	}
}

func newAccount(name string) *auth.Account {
	_, hash := auth.NewToken()
	return &auth.Account{Principal: auth.Principal{Name: name, Role: auth.Client}, Tokens: []auth.TokenHash{hash}}
}

func TestAppend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	if err := tokens.Append(path, newAccount("a")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := tokens.Append(path, newAccount("b")); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(path)
	if err := tokens.Append(path, newAccount("a")); err == nil || !strings.Contains(err.Error(), "a is there in line 2 already") {
		t.Error(err)
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Errorf("a refused account has changed the file to %q", after)
	}
	if all, err := tokens.Read(path); err != nil || len(all) != 2 {
		t.Errorf("%v, %v", all, err)
	}
	broken := write(t, "nonsense\n")
	if err := tokens.Append(broken, newAccount("a")); err == nil || !strings.Contains(err.Error(), ":1:") {
		t.Error(err)
	}
	noEnd := write(t, "# no end")
	if err := tokens.Append(noEnd, newAccount("a")); err != nil {
		t.Error(err)
	}
	if all, err := tokens.Read(noEnd); err != nil || len(all) != 1 {
		t.Errorf("behind a line without an end: %v, %v", all, err)
	}
	if err := tokens.Append(t.TempDir(), newAccount("a")); err == nil {
		t.Error("a folder was added to")
	}
	if err := tokens.Append(filepath.Join(t.TempDir(), "none", "tokens"), newAccount("a")); !os.IsNotExist(err) {
		t.Error(err)
	}
}

// Those who add at the same moment take turns.
func TestAppendAtOnce(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" && runtime.GOOS != "freebsd" {
		t.Skip("there are no locks on files here")
	}
	path := filepath.Join(t.TempDir(), "tokens")
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	var all sync.WaitGroup
	for _, name := range names {
		all.Go(func() {
			if err := tokens.Append(path, newAccount(name)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got, err := tokens.Read(path); err != nil || len(got) != len(names) {
		t.Errorf("%d accounts, %v", len(got), err)
	}
}

// FuzzFile: whatever a file has, it is refused with its name, or what was read is what
// its lines say when they are written again.
func FuzzFile(f *testing.F) {
	for _, s := range []string{
		"", "# nobody", "name=web role=client sha256=" + hashA + " prefix=\"a b\" max_locks=3", "role=admin certificate=cn:x name=y",
		"name=\"web\" role=\"read\" sha256=" + hashB + "\nname=a role=client certificate=dns:h prefix=\"\\xff\"", "name", "\"=\"", "a=\"\\",
	} {
		f.Add(s)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(dir, "tokens")
		if err := os.WriteFile(path, []byte(text), fs.FileMode(0o600)); err != nil {
			t.Fatal(err)
		}
		accounts, err := tokens.Read(path)
		if err != nil {
			if !strings.Contains(err.Error(), path) {
				t.Fatalf("the error does not name the file: %v", err)
			}
			return
		}
		lines := "# again\n"
		for i := range accounts {
			lines += tokens.Line(&accounts[i]) + "\n"
		}
		if err := os.WriteFile(path, []byte(lines), fs.FileMode(0o600)); err != nil {
			t.Fatal(err)
		}
		again, err := tokens.Read(path)
		if err != nil || !reflect.DeepEqual(again, accounts) {
			t.Fatalf("%q\nwas read as %+v\nthen as %+v, %v", lines, accounts, again, err)
		}
	})
}
