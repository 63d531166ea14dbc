package archtest

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A tree is the parsed source of one module. Files of every operating system
// are in it: build constraints are not looked at.
type tree struct {
	module string // the module's path
	fset   *token.FileSet
	files  []*file // in the order of their paths
}

// A file is one Go file of a tree.
type file struct {
	name      string // slashed path below the module's root
	pkg       string // slashed folder below the module's root; "." for the root
	test      bool   // whether its name ends in _test.go
	generated bool
	syntax    *ast.File
}

// A problem is a broken rule and where.
type problem struct {
	pos  token.Position
	text string
}

func (p problem) String() string {
	return fmt.Sprintf("%s:%d: %s", p.pos.Filename, p.pos.Line, p.text)
}

// compareProblems orders problems by place and text.
func compareProblems(a, b problem) int {
	return cmp.Or(
		cmp.Compare(a.pos.Filename, b.pos.Filename),
		cmp.Compare(a.pos.Line, b.pos.Line),
		cmp.Compare(a.text, b.text),
	)
}

// loadTree parses every Go file of the module whose root folder is dir.
// Folders that the go command does not see, and modules within, are left out.
func loadTree(dir, module string) (*tree, error) {
	t := &tree{module: module, fset: token.NewFileSet()}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skip(dir, p, d.Name())
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		return t.add(dir, p)
	})
	return t, err
}

// skip returns [fs.SkipDir] for a folder that is no part of the module at root.
func skip(root, p, name string) error {
	if p == root {
		return nil
	}
	if name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return fs.SkipDir
	}
	if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

// add parses the file at p, which is below root.
func (t *tree) add(root, p string) error {
	rel, err := filepath.Rel(root, p)
	if err != nil {
		return err
	}
	name := filepath.ToSlash(rel)
	text, err := os.ReadFile(p)
	if err != nil {
		return err
	}
	syntax, err := parser.ParseFile(t.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	t.files = append(t.files, &file{
		name:      name,
		pkg:       path.Dir(name),
		test:      strings.HasSuffix(name, "_test.go"),
		generated: ast.IsGenerated(syntax),
		syntax:    syntax,
	})
	return nil
}

// packages returns the folders that hold files, sorted.
func (t *tree) packages() []string {
	var all []string
	for _, f := range t.files {
		all = append(all, f.pkg)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// problem makes a problem at a node's beginning.
func (t *tree) problem(at ast.Node, format string, args ...any) problem {
	return problem{pos: t.fset.Position(at.Pos()), text: fmt.Sprintf(format, args...)}
}

// importPath returns the path that an import names.
func importPath(spec *ast.ImportSpec) string {
	p, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		panic(fmt.Sprintf("the parser let the import path %s pass", spec.Path.Value))
	}
	return p
}

// importedAs returns the name by which f uses the package of that import path,
// or "" if it does not import it. It takes the last element of a path for the
// package's name, which holds for all that is asked for here.
func (f *file) importedAs(want string) string {
	for _, spec := range f.syntax.Imports {
		if importPath(spec) != want {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(want)
	}
	return ""
}

// selected calls see for each use of a name of the package of that import path.
func (f *file) selected(of string, see func(sel *ast.SelectorExpr)) {
	as := f.importedAs(of)
	if as == "" {
		return
	}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == as {
				see(sel)
			}
		}
		return true
	})
}

// report fails the test for each problem.
func report(t *testing.T, problems []problem) {
	t.Helper()
	slices.SortFunc(problems, compareProblems)
	for _, p := range problems {
		t.Error(p)
	}
}

// repository parses this repository's module.
func repository(t *testing.T) *tree {
	t.Helper()
	tree, err := loadTree(filepath.Join("..", ".."), module)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}
