package archtest

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// readme returns the blocks of code of the README that are marked as being in
// a language; "" returns those without a mark.
func readme(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, m := range regexp.MustCompile("(?ms)^```(\\w*)[^\n]*\n(.*?)^```$").FindAllSubmatch(text, -1) {
		if string(m[1]) == language {
			blocks = append(blocks, string(m[2]))
		}
	}
	if len(blocks) == 0 {
		t.Fatalf("README.md has no block of code in %q", language)
	}
	return blocks
}

// fragment is a program around a few lines of the README.
const fragment = `package main

import (
	"context"
	"log"

	"github.com/ldlm-io/ldlm/client"
)

func main() {
%s}
`

func TestReadmeCompiles(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs the go command:", err)
	}
	for i, code := range readme(t, "go") {
		if !strings.HasPrefix(code, "package ") {
			code = fmt.Sprintf(fragment, code)
		}
		file := filepath.Join(t.TempDir(), "main.go")
		if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		c := exec.CommandContext(t.Context(), "go", "vet", file)
		c.Dir = "../.."
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("block %d of Go in README.md: %v\n%s", i+1, err, out)
		}
	}
}

// The tree of the README says what there is: nothing that is not there, and all
// packages that are.
func TestReadmeTree(t *testing.T) {
	listed := treeOf(readme(t, "")[0])
	for p := range listed {
		if _, err := os.Stat(filepath.Join("..", "..", filepath.FromSlash(p))); err != nil {
			t.Errorf("the tree in README.md: %v", err)
		}
	}
	for _, pkg := range repository(t).packages() {
		if !listed[pkg] {
			t.Errorf("the tree in README.md lacks %s", pkg)
		}
	}
}

// treeOf reads a drawing of folders, two spaces for each level, with names and
// then, after a wide gap, a comment. "*.go" stands for the root.
func treeOf(drawing string) map[string]bool {
	listed := map[string]bool{}
	above := []string{"."} // the folder of each level that the present line is in
	for line := range strings.Lines(drawing) {
		names, _, _ := strings.Cut(strings.TrimSpace(line), "   ")
		level := (len(line) - len(strings.TrimLeft(line, " "))) / 2
		above = above[:min(level+1, len(above))]
		for _, name := range strings.FieldsFunc(names, func(r rune) bool { return r == ' ' || r == ',' }) {
			folder := strings.ReplaceAll(name, "*.go", ".")
			p := path.Join(above[level], folder)
			listed[p] = true
			above = append(above[:level+1], p)
		}
	}
	return listed
}
