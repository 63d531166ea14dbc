package archtest

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// plantedTable has the rows of the module under testdata/planted.
var plantedTable = []row{
	{pkg: "api", own: []string{"lock"}, values: []string{"lock"}, modules: []string{grpc}, why: "as grpcapi"},
	{pkg: "cli", wires: []string{"node"}, wiring: []string{"server"}, why: "as cli"},
	{pkg: "globals", why: "none"},
	{pkg: "helpers", why: "none"},
	{pkg: "lock", notStd: []string{"time", "sync", "math/rand"}, why: "as lock"},
	{pkg: "node", why: "as node"},
}

var plantedEngines = map[string][]string{"lock": {"Table", "New"}}

// want finds what a comment asks for: of its own line, or of the one above.
var want = regexp.MustCompile("want( above)? `([^`]+)`")

// A rule that cannot be broken checks nothing: each is broken once in
// testdata/planted, and exactly that must be found.
func TestPlantedViolationsAreFound(t *testing.T) {
	tree, err := loadTree("testdata/planted", "example.com/planted")
	if err != nil {
		t.Fatal(err)
	}
	found, err := checkCore(tree, "lock")
	if err != nil {
		t.Fatal(err)
	}
	found = slices.Concat(found, checkImports(tree, plantedTable, plantedEngines),
		checkShape(tree, []string{"node"}), checkGlobals(tree))

	wanted := wantedProblems(tree)
	if len(wanted) == 0 {
		t.Fatal("nothing is planted")
	}
	for _, p := range found {
		if !wanted.take(p) {
			t.Errorf("not planted: %s", p)
		}
	}
	for at, texts := range wanted {
		for _, text := range texts {
			t.Errorf("not found: %s:%d: %s", at.file, at.line, text)
		}
	}
}

// A wanted has, by file and line, parts of the problems that must be found there.
type wanted map[place][]string

type place struct {
	file string
	line int
}

// wantedProblems collects what the comments of a tree ask for.
func wantedProblems(t *tree) wanted {
	w := wanted{}
	for _, f := range t.files {
		for _, group := range f.syntax.Comments {
			for _, c := range group.List {
				pos := t.fset.Position(c.Pos())
				for _, m := range want.FindAllStringSubmatch(c.Text, -1) {
					at := place{pos.Filename, pos.Line}
					if m[1] != "" {
						at.line--
					}
					w[at] = append(w[at], m[2])
				}
			}
		}
	}
	return w
}

// take removes the wish that a problem fulfils and reports whether there was one.
func (w wanted) take(p problem) bool {
	at := place{p.pos.Filename, p.pos.Line}
	i := slices.IndexFunc(w[at], func(text string) bool { return strings.Contains(p.text, text) })
	if i < 0 {
		return false
	}
	w[at] = slices.Delete(w[at], i, i+1)
	return true
}
