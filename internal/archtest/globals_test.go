package archtest

import (
	"go/ast"
	"go/token"
	"slices"
	"testing"
)

func TestPackageVariablesAreNeverWritten(t *testing.T) {
	report(t, checkGlobals(repository(t)))
}

// checkGlobals finds variables of packages that are more than names for
// values: something writes to them or takes their address. Tables and errors
// are fine. It goes by names; what a function declares itself hides the
// package's variable of that name.
func checkGlobals(t *tree) []problem {
	globals := map[string]map[string]bool{} // of a package, by name
	for _, f := range t.files {
		if f.counts() {
			if globals[f.pkg] == nil {
				globals[f.pkg] = map[string]bool{}
			}
			variables(globals[f.pkg], f)
		}
	}
	var found []problem
	for _, f := range t.files {
		if !f.counts() {
			continue
		}
		for _, d := range f.syntax.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			local := locals(fn)
			written(fn.Body, func(id *ast.Ident) {
				if globals[f.pkg][id.Name] && !local[id.Name] {
					found = append(found, t.problem(id, "%s is a variable of the package and is written here: put it where its owner is", id.Name))
				}
			})
		}
	}
	return found
}

// counts reports whether the rule holds for the file: for code by hand, outside tests.
func (f *file) counts() bool { return !f.test && !f.generated }

// variables notes the variables that a file declares for its package.
func variables(names map[string]bool, f *file) {
	for _, d := range f.syntax.Decls {
		d, ok := d.(*ast.GenDecl)
		if !ok || d.Tok != token.VAR {
			continue
		}
		for _, s := range d.Specs {
			if v, ok := s.(*ast.ValueSpec); ok {
				for _, n := range v.Names {
					names[n.Name] = n.Name != "_"
				}
			}
		}
	}
}

// locals returns the names that a function declares, anywhere in it.
func locals(fn *ast.FuncDecl) map[string]bool {
	names := map[string]bool{}
	note := func(e ast.Expr) {
		if id, ok := e.(*ast.Ident); ok {
			names[id.Name] = true
		}
	}
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			for _, id := range n.Names {
				note(id)
			}
		case *ast.ValueSpec:
			for _, id := range n.Names {
				note(id)
			}
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				for _, e := range n.Lhs {
					note(e)
				}
			}
		case *ast.RangeStmt:
			if n.Tok == token.DEFINE {
				note(n.Key)
				note(n.Value)
			}
		}
		return true
	})
	return names
}

// written calls see for each variable that a piece of code writes to, in part
// or whole, or takes the address of.
func written(code ast.Node, see func(id *ast.Ident)) {
	write := func(e ast.Expr) {
		if id := base(e); id != nil {
			see(id)
		}
	}
	ast.Inspect(code, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, e := range n.Lhs {
					write(e)
				}
			}
		case *ast.IncDecStmt:
			write(n.X)
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				write(n.X)
			}
		case *ast.SendStmt:
			write(n.Chan)
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && slices.Contains([]string{"delete", "clear", "close"}, id.Name) {
				write(n.Args[0])
			}
		}
		return true
	})
}

// base returns the variable that an expression is a part of, or nil.
func base(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}
