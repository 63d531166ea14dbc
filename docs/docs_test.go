// Package docs has the tests of the documents: what they tell to type is typed,
// by a shell, against a real server, and what they show of Go is compiled.
//
// A block of code says by the words after its language what it is. In "sh" blocks:
// "aside" goes on in the background, as in a terminal of its own; "needs X" is
// left out where there is no program X. In "go" blocks: "test" is a file of tests,
// "program" stands without the client c that the others have.
package docs

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// patience is how long the shell may take with one document or recipe: much longer
// than the slowest machine needs to build everything.
const patience = 20 * time.Minute

// The addresses in the documents. The tests use free ports.
const (
	shownAddress = "127.0.0.1:3144"
	shownREST    = "127.0.0.1:3145"
)

// A block is a block of code in a document.
type block struct {
	line           int
	language, mark string
	code           string
}

// blocks returns the fenced blocks of a document.
func blocks(t *testing.T, document string) []block {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	var all []block
	for _, m := range regexp.MustCompile("(?ms)^```(\\w+)[ ]*([^\n]*)\n(.*?)^```$").FindAllSubmatchIndex(text, -1) {
		part := func(i int) string { return string(text[m[2*i]:m[2*i+1]]) }
		line := strings.Count(string(text[:m[0]]), "\n") + 1
		all = append(all, block{line, part(1), part(2), part(3)})
	}
	if len(all) == 0 {
		t.Fatalf("%s has no blocks of code", document)
	}
	return all
}

// The quick start, word by word: its blocks are one session in an empty folder,
// and its Go is written to main.go where the session stands. The clone is one of
// this repository, as it was last committed.
func TestQuickstart(t *testing.T) {
	if testing.Short() {
		t.Skip("clones and builds everything")
	}
	needs(t, "sh", "go", "git")
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, ".git")); err != nil {
		t.Skip("needs the repository:", err)
	}
	settings := filepath.Join(t.TempDir(), "gitconfig")
	write(t, settings, fmt.Sprintf("[url %q]\n\tinsteadOf = https://github.com/ldlm-io/ldlm\n[safe]\n\tdirectory = *\n", root), 0o600)
	address := freeAddress(t)
	var script strings.Builder
	script.WriteString("asides=\ntrap 'kill $asides 2>/dev/null || true' EXIT\n")
	for _, b := range blocks(t, "quickstart.md") {
		code := strings.ReplaceAll(b.code, shownAddress, address)
		switch {
		case b.language == "go":
			fmt.Fprintf(&script, "cat >main.go <<'END OF GO'\n%sEND OF GO\n", code)
		case b.language == "sh" && b.mark == "aside":
			code = strings.Replace(code, "ldlm dev\n", "exec ldlm dev --listen_address "+address+" --ipc_socket_file '' --rest_listen_address ''\n", 1)
			fmt.Fprintf(&script, "(\n%s) &\nasides=\"$asides $!\"\nldlm wait-ready --timeout 60s\n", code)
		case b.language == "sh":
			// Only what was started by the block itself is waited for.
			fmt.Fprintf(&script, "{\n%s}\n", strings.ReplaceAll(code, "\nwait\n", "\nwait $!\n"))
		}
	}
	dir := t.TempDir()
	said := shell(t, dir, script.String(), append(environment(address, filepath.Join(dir, "bin")),
		"GOBIN="+filepath.Join(dir, "bin"),
		"GOFLAGS=-trimpath", // what was built elsewhere need not be built again
		"GIT_CONFIG_GLOBAL="+settings,
	))
	for text, times := range map[string]int{"it is mine now\n": 1, "it is mine, token ": 2} {
		if n := strings.Count(said, text); n != times {
			t.Errorf("it said %q %d times, not %d", text, n, times)
		}
	}
}

// Each block of shell in the recipes, in the page about fencing and on the front page
// runs by itself, against a server of its own. The scripts that they call do nothing.
func TestShellRecipes(t *testing.T) {
	needs(t, "sh", "go")
	bin := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "../cmd/ldlm").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	write(t, filepath.Join(bin, "psql"), "#!/bin/sh\necho psql \"$@\"\n", 0o700)
	for _, document := range []string{"recipes.md", "fencing.md", "../README.md"} {
		for _, b := range blocks(t, document) {
			if b.language == "sh" || b.language == "bash" {
				t.Run(fmt.Sprintf("%s:%d", filepath.Base(document), b.line), func(t *testing.T) {
					t.Parallel()
					recipe(t, b, bin)
				})
			}
		}
	}
}

// recipe runs one block of shell.
func recipe(t *testing.T, b block, bin string) {
	t.Helper()
	needs(t, b.language)
	if program, ok := strings.CutPrefix(b.mark, "needs "); ok {
		needs(t, program)
	}
	dir := t.TempDir()
	for _, m := range regexp.MustCompile(`\./([\w-]+\.sh)`).FindAllStringSubmatch(b.code, -1) {
		write(t, filepath.Join(dir, m[1]), "#!/bin/sh\necho \"$0 $*\"\n", 0o700)
	}
	code := strings.NewReplacer(
		shownAddress, "$LDLM_ADDRESS", shownREST, "$LDLM_REST_ADDRESS",
		"sleep 60", "sleep 0", // nobody wants to wait for a minute here
	).Replace(b.code)
	// Without the flag the exit code of curl says nothing.
	code = regexp.MustCompile(`\bcurl `).ReplaceAllString(code, "curl -sS --fail ")
	write(t, filepath.Join(dir, "recipe"), code, 0o600)
	shell(t, dir, "exec ldlm dev -- "+b.language+" -eu recipe\n", environment("", bin))
}

// What a part of a program in the recipes has around it.
const (
	partHead = "package recipes\n\n%s\n" + `
type job struct {
	run  func(context.Context) error
	gpus int
}

func process(context.Context, uint64) error { return nil }
func schedule(context.Context, uint64)      {}

var (
	jobs  []job
	steps func(yield func(func()) bool)
)
`
	partBody    = "\nfunc part(ctx context.Context, c *ldlm.Client, db *sql.DB) error {\n%s\nreturn nil\n}\n"
	programBody = "\nfunc part() error {\n%s\nvar _, _ = c, err\nreturn nil\n}\n"
)

func TestGoRecipes(t *testing.T) {
	needs(t, "go")
	// It has to be within the module; the go command leaves such names alone.
	dir, err := os.MkdirTemp(".", "_recipes") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	vet := []string{"vet", "-unreachable=false"}
	for _, b := range blocks(t, "recipes.md") {
		if b.language != "go" {
			continue
		}
		name, body := "part.go", partBody
		switch {
		case b.mark == "test":
			name, body = "part_test.go", "%s"
		case b.mark == "program":
			body = programBody
		case strings.HasPrefix(b.code, "func ") || strings.HasPrefix(b.code, "//"):
			body = "%s"
		}
		code := fmt.Sprintf(body, b.code) // what follows a return is the frame's
		pkg := filepath.Join(dir, fmt.Sprintf("line%d", b.line))
		if err := os.Mkdir(pkg, 0o700); err != nil {
			t.Fatal(err)
		}
		vet = append(vet, "./"+pkg)
		head := fmt.Sprintf(partHead, imports(partHead+code))
		write(t, filepath.Join(pkg, name), head+code, 0o600)
	}
	if out, err := exec.CommandContext(t.Context(), "go", vet...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// imports returns the import lines of the packages that code uses.
func imports(code string) string {
	var lines []string
	for _, p := range []string{
		"context", "database/sql", "errors", "fmt", "log", "testing", "time",
		"github.com/ldlm-io/ldlm", "github.com/ldlm-io/ldlm/ldlmtest",
	} {
		if regexp.MustCompile(`\b` + regexp.QuoteMeta(p[strings.LastIndex(p, "/")+1:]) + `\.[A-Z]`).MatchString(code) {
			lines = append(lines, fmt.Sprintf("import %q", p))
		}
	}
	return strings.Join(lines, "\n")
}

// shell runs a script to its end, with all that it has left behind, and returns
// what was said.
func shell(t *testing.T, dir, script string, env []string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, "sh", "-eu")
	c.Dir, c.Env = dir, env
	c.Stdin = strings.NewReader(script)
	c.WaitDelay = 10 * time.Second
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s\n--- the script\n%s", err, out, script)
	}
	t.Logf("\n%s", out)
	return string(out)
}

// environment is that of a shell which finds our programs first, and the server
// at an address unless that is empty.
func environment(address, bin string) []string {
	env := append(os.Environ(), "PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	if address != "" {
		env = append(env, "LDLM_ADDRESS="+address)
	}
	return env
}

// needs skips the test where a program is missing.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skip("needs a program:", err)
		}
	}
}

// freeAddress is one that nobody listens on, and that stays so: its host is one of the
// many of loopback that others do not happen to use as well. Other systems than Linux
// have one alone.
func freeAddress(t *testing.T) string {
	t.Helper()
	host := "127.0.0.1"
	if runtime.GOOS == "linux" {
		host = fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), 1+rand.IntN(254), 1+rand.IntN(254))
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func write(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}
