package archtest

import (
	"go/ast"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Figures that the code is held to.
const (
	maxFunctionLines   = 70
	minDocumentedShare = 0.95 // of a package's exported names; all of them in public packages
)

// public are the packages that users import: every exported name has a comment.
var public = []string{".", "client", "ldlmtest"}

// defaultLoggers are packages that may fall back to the logger of the process,
// with the reason.
var defaultLoggers = map[string]string{
	"client": "programs written for v1.1.1 pass no logger and must be told of a lost lock",
}

// nameless are names of packages that say nothing of what is inside.
var nameless = []string{"util", "utils", "common", "types", "constants", "models", "helpers", "misc", "shared"}

func TestShape(t *testing.T) {
	report(t, checkShape(repository(t), public))
}

func TestShapeOfBenchmarks(t *testing.T) {
	tree, err := loadTree(filepath.Join("..", "..", "bench"), module+"/bench")
	if err != nil {
		t.Fatal(err)
	}
	report(t, checkShape(tree, nil))
}

// checkShape finds what makes code hard to read or to test. In the packages
// of public every exported name needs a comment.
func checkShape(t *tree, public []string) []problem {
	var found []problem
	for _, f := range t.files {
		if f.generated {
			continue
		}
		found = append(found, checkFunctions(t, f)...)
		found = append(found, checkLoggers(t, f)...)
		found = append(found, checkSleep(t, f)...)
	}
	for _, pkg := range t.packages() {
		if slices.Contains(nameless, path.Base(pkg)) {
			found = append(found, t.problem(t.first(pkg).syntax.Name, "package %s: name it for what is inside", pkg))
		}
		found = append(found, checkComments(t, pkg, slices.Contains(public, pkg))...)
	}
	return found
}

// first returns the first file of a package that exists.
func (t *tree) first(pkg string) *file {
	return t.files[slices.IndexFunc(t.files, func(f *file) bool { return f.pkg == pkg })]
}

// checkFunctions finds long functions and functions that run by themselves.
func checkFunctions(t *tree, f *file) []problem {
	var found []problem
	for _, d := range f.syntax.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		lines := t.fset.Position(fn.End()).Line - t.fset.Position(fn.Pos()).Line + 1
		if lines > maxFunctionLines {
			found = append(found, t.problem(fn, "%s has %d lines, more than %d", fn.Name.Name, lines, maxFunctionLines))
		}
		if fn.Recv == nil && fn.Name.Name == "init" {
			found = append(found, t.problem(fn, "init: let whoever needs it call it"))
		}
	}
	return found
}

// checkLoggers finds loggers that do not come from outside.
func checkLoggers(t *tree, f *file) []problem {
	if f.test {
		return nil
	}
	var found []problem
	for _, d := range f.syntax.Decls {
		if d, ok := d.(*ast.GenDecl); ok && mentionsLog(f, d) {
			found = append(found, t.problem(d, "a logger of the package: take it from outside"))
		}
	}
	for _, pkg := range []string{"log", "log/slog"} {
		f.selected(pkg, func(sel *ast.SelectorExpr) {
			if sel.Sel.Name == "Default" && defaultLoggers[f.pkg] != "" {
				return
			}
			if speaksToProcessLogger(sel.Sel.Name) {
				found = append(found, t.problem(sel, "%s.%s uses the logger of the process: take one from outside", pkg, sel.Sel.Name))
			}
		})
	}
	return found
}

// mentionsLog reports whether a declaration of package variables has to do with logging.
func mentionsLog(f *file, d *ast.GenDecl) bool {
	found := false
	for _, s := range d.Specs {
		v, ok := s.(*ast.ValueSpec)
		if !ok || d.Tok.String() != "var" {
			continue
		}
		ast.Inspect(v, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok {
					logger := sel.Sel.Name == "Logger" || sel.Sel.Name == "New" || sel.Sel.Name == "Default"
					found = found || logger && (x.Name == f.importedAs("log") || x.Name == f.importedAs("log/slog"))
				}
			}
			return true
		})
	}
	return found
}

// speaksToProcessLogger reports whether a function of log or log/slog uses or
// changes the logger that the whole process shares.
func speaksToProcessLogger(name string) bool {
	for _, prefix := range []string{"Print", "Fatal", "Panic", "Debug", "Info", "Warn", "Error", "Log", "Set"} {
		if strings.HasPrefix(name, prefix) {
			// Logger and the Level constants are names of types and values.
			return !strings.HasPrefix(name, "Logger") && name != "LogValuer"
		}
	}
	return name == "Default"
}

// checkSleep finds tests that wait for time instead of for what they want to see.
func checkSleep(t *tree, f *file) []problem {
	if !f.test && f.importedAs("testing") == "" {
		return nil
	}
	var found []problem
	f.selected("time", func(sel *ast.SelectorExpr) {
		if sel.Sel.Name == "Sleep" {
			found = append(found, t.problem(sel, "time.Sleep in a test: wait for the thing itself; on fake time, receive from time.After"))
		}
	})
	return found
}

// A name is an exported identifier of a package.
type name struct {
	at         ast.Node
	text       string
	documented bool
}

// checkComments finds exported names without a comment, if there are too many
// for a package that is public or not.
func checkComments(t *tree, pkg string, isPublic bool) []problem {
	var all []name
	for _, f := range t.files {
		if f.pkg == pkg && !f.test && !f.generated {
			all = append(all, exported(f.syntax)...)
		}
	}
	bare := slices.DeleteFunc(slices.Clone(all), func(n name) bool { return n.documented })
	share := 1 - float64(len(bare))/float64(max(len(all), 1))
	if share >= minDocumentedShare && !isPublic {
		return nil
	}
	var found []problem
	for _, n := range bare {
		found = append(found, t.problem(n.at, "exported %s has no comment", n.text))
	}
	return found
}

// exported returns the exported identifiers that a file declares.
func exported(f *ast.File) []name {
	var all []name
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && (d.Recv == nil || receiver(d).IsExported()) {
				all = append(all, name{d, d.Name.Name, d.Doc != nil})
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				all = append(all, exportedOf(d, s)...)
			}
		}
	}
	return all
}

// exportedOf returns the exported identifiers of one line of a declaration. A
// comment on a group of constants or variables speaks for all of them.
func exportedOf(d *ast.GenDecl, s ast.Spec) []name {
	var all []name
	switch s := s.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() {
			all = append(all, name{s, s.Name.Name, s.Doc != nil || s.Comment != nil || d.Doc != nil && !d.Lparen.IsValid()})
		}
	case *ast.ValueSpec:
		for _, n := range s.Names {
			if n.IsExported() {
				all = append(all, name{n, n.Name, s.Doc != nil || s.Comment != nil || d.Doc != nil})
			}
		}
	}
	return all
}

// receiver returns the name of the type whose method fn is.
func receiver(fn *ast.FuncDecl) *ast.Ident {
	e := fn.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.Ident:
			return x
		default:
			panic("a receiver that is no named type passed the parser")
		}
	}
}
