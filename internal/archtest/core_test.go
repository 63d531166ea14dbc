package archtest

import (
	"go/ast"
	"go/importer"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"testing"
)

// core is the package that must compute the same everywhere.
const core = "internal/lock"

// anyOrder is what a comment before a loop over a map in the core has to say,
// with the reason.
const anyOrder = "order does not matter"

func TestCoreIsDeterministic(t *testing.T) {
	problems, err := checkCore(repository(t), core)
	if err != nil {
		t.Fatal(err)
	}
	report(t, problems)
}

// checkCore finds what may differ from run to run or from machine to machine in
// a package that imports the standard library alone: goroutines and channels, the
// order of maps, floating point.
func checkCore(t *tree, pkg string) ([]problem, error) {
	var files []*file
	var syntax []*ast.File
	for _, f := range t.files {
		if f.pkg == pkg && !f.test {
			files = append(files, f)
			syntax = append(syntax, f.syntax)
		}
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	conf := types.Config{Importer: importer.ForCompiler(t.fset, "source", nil)}
	if _, err := conf.Check(t.module+"/"+pkg, t.fset, syntax, info); err != nil {
		return nil, err
	}
	var found []problem
	for _, f := range files {
		c := coreFile{tree: t, info: info, comments: endOfComments(t, f)}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if text := c.refuses(n); text != "" {
				found = append(found, t.problem(n, "%s: %s", pkg, text))
			}
			return true
		})
	}
	// What one line does wrong twice is said once.
	slices.SortFunc(found, compareProblems)
	return slices.CompactFunc(found, func(a, b problem) bool { return a.String() == b.String() }), nil
}

// A coreFile is a file of the core with what is known of it.
type coreFile struct {
	tree     *tree
	info     *types.Info
	comments map[int]string // text of the comment that ends on a line
}

// endOfComments returns a file's comments by the line that they end on.
func endOfComments(t *tree, f *file) map[int]string {
	byLine := map[int]string{}
	for _, group := range f.syntax.Comments {
		byLine[t.fset.Position(group.End()).Line] = strings.Join(strings.Fields(group.Text()), " ")
	}
	return byLine
}

// refuses says why a node has no place in the core, or "".
func (c coreFile) refuses(n ast.Node) string {
	switch n := n.(type) {
	case *ast.GoStmt:
		return "starts a goroutine"
	case *ast.ChanType, *ast.SelectStmt, *ast.SendStmt:
		return "uses a channel"
	case *ast.RangeStmt:
		return c.refusesRange(n)
	case *ast.BasicLit:
		if n.Kind == token.FLOAT || n.Kind == token.IMAG {
			return "uses floating point"
		}
	case *ast.Ident:
		if isFloat(c.info.Types[n]) {
			return "uses floating point"
		}
	case *ast.CallExpr:
		if isFloat(c.info.Types[n]) {
			return "uses floating point"
		}
	}
	return ""
}

// refusesRange says why a loop over a map is refused, or "".
func (c coreFile) refusesRange(n *ast.RangeStmt) string {
	of := c.info.Types[n.X].Type
	if of == nil {
		return ""
	}
	if _, ok := of.Underlying().(*types.Map); !ok {
		return ""
	}
	line := c.tree.fset.Position(n.Pos()).Line
	if strings.Contains(c.comments[line-1], anyOrder) {
		return ""
	}
	return "walks a map: use a slice, or say above it why the " + anyOrder
}

// isFloat reports whether something is a floating-point or complex number.
func isFloat(tv types.TypeAndValue) bool {
	if tv.Type == nil {
		return false
	}
	basic, ok := tv.Type.Underlying().(*types.Basic)
	return ok && basic.Info()&(types.IsFloat|types.IsComplex) != 0
}
