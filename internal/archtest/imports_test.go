package archtest

import (
	"errors"
	"go/ast"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

func TestImports(t *testing.T) {
	report(t, checkImports(repository(t), table, engines))
}

func TestTableHasReasonsAndNoDeadRows(t *testing.T) {
	packages := repository(t).packages()
	for _, r := range table {
		if r.why == "" {
			t.Errorf("the row of %s has no reason", r.pkg)
		}
		exists := slices.ContainsFunc(packages, r.covers)
		if !exists && !r.later {
			t.Errorf("there is no package %s: drop its row, or mark it later", r.pkg)
		}
		if exists && r.later {
			t.Errorf("%s exists: its row is not for later any more", r.pkg)
		}
	}
}

// Values of a package are everything but its engines, so a renamed engine must
// be noticed.
func TestEnginesExist(t *testing.T) {
	tree := repository(t)
	for pkg, names := range engines {
		declared := map[string]bool{}
		for _, f := range tree.files {
			if f.pkg == pkg && !f.test {
				for _, d := range f.syntax.Decls {
					declare(declared, d)
				}
			}
		}
		for _, name := range names {
			if !declared[name] {
				t.Errorf("%s declares no %s: mend the list of engines", pkg, name)
			}
		}
	}
}

// declare notes the functions and types of a declaration.
func declare(names map[string]bool, d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			names[d.Name.Name] = true
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			if s, ok := s.(*ast.TypeSpec); ok {
				names[s.Name.Name] = true
			}
		}
	}
}

// covers reports whether the row is that of the package.
func (r row) covers(pkg string) bool {
	if folder, ok := strings.CutSuffix(r.pkg, "/*"); ok {
		return path.Dir(pkg) == folder
	}
	return r.pkg == pkg
}

// checkImports holds every file of t against the rows.
func checkImports(t *tree, rows []row, engines map[string][]string) []problem {
	var found []problem
	reported := map[string]bool{}
	for _, f := range t.files {
		i := slices.IndexFunc(rows, func(r row) bool { return r.covers(f.pkg) })
		if i < 0 {
			if !reported[f.pkg] {
				found = append(found, t.problem(f.syntax.Name, "package %s has no row in the table", f.pkg))
			}
			reported[f.pkg] = true
			continue
		}
		for _, spec := range f.syntax.Imports {
			if text := rows[i].refuses(t.module, f, importPath(spec)); text != "" {
				found = append(found, t.problem(spec, "%s: %s (%s)", f.pkg, text, rows[i].why))
			}
		}
		found = append(found, checkValues(t, f, rows[i], engines)...)
	}
	return found
}

// refuses says why the file may not import that path, or "".
func (r row) refuses(module string, f *file, imported string) string {
	own, isOwn := strings.CutPrefix(imported, module+"/")
	if imported == module {
		own, isOwn = ".", true
	}
	switch {
	case isOwn:
		if f.test || r.allowsOwn(f, own) {
			return ""
		}
		return "may not import " + own
	case isStd(imported):
		return r.refusesStd(f, imported)
	case under(imported, r.modules) || f.test && under(imported, testModules):
		return ""
	default:
		return "may not import " + imported
	}
}

// allowsOwn reports whether the file, which is none of a test, may import the
// package of this module.
func (r row) allowsOwn(f *file, own string) bool {
	if slices.Contains(r.own, own) || slices.Contains(r.own, "*") {
		return true
	}
	base := path.Base(f.name)
	return slices.Contains(r.wires, own) &&
		slices.ContainsFunc(r.wiring, func(p string) bool { return strings.HasPrefix(base, p) })
}

// refusesStd says why the file may not import that package of the standard
// library, or "".
func (r row) refusesStd(f *file, imported string) string {
	switch {
	case f.test:
		return ""
	case under(imported, r.notStd):
		return "may not import " + imported
	case under(imported, []string{"testing"}) && !r.testing:
		return "is not for tests alone and may not import " + imported
	default:
		return ""
	}
}

// isStd reports whether an import path is of the standard library: those
// have no dot in their first element.
func isStd(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

// under reports whether a path is one of the prefixes or lies below one.
func under(p string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool {
		return p == prefix || strings.HasPrefix(p, prefix+"/")
	})
}

// checkValues finds uses of a package's engines where its values alone are allowed.
func checkValues(t *tree, f *file, r row, engines map[string][]string) []problem {
	if f.test {
		return nil
	}
	var found []problem
	for _, pkg := range r.values {
		f.selected(t.module+"/"+pkg, func(sel *ast.SelectorExpr) {
			if slices.Contains(engines[pkg], sel.Sel.Name) {
				found = append(found, t.problem(sel, "%s: may use values of %s, not %s (%s)", f.pkg, pkg, sel.Sel.Name, r.why))
			}
		})
	}
	return found
}

// What users compile with the client: direct imports do not show it.
func TestClientStaysLight(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs the go command:", err)
	}
	light := []string{module, module + "/api/v2", module + "/internal/wire", module + "/internal/clock"}
	modules := []string{
		grpc, protobuf, sys,
		"golang.org/x/net", "golang.org/x/text", "google.golang.org/genproto/googleapis/rpc", // of gRPC
	}
	for pkg, own := range map[string][]string{
		".":        light,
		"./client": append(slices.Clone(light), module+"/client"),
	} {
		for _, system := range []string{"linux", "darwin", "windows"} {
			for _, dep := range dependencies(t, pkg, system) {
				if dep == module || strings.HasPrefix(dep, module+"/") {
					if !slices.Contains(own, dep) {
						t.Errorf("on %s, %s compiles %s", system, pkg, dep)
					}
				} else if !under(dep, modules) {
					t.Errorf("on %s, %s compiles %s", system, pkg, dep)
				}
			}
		}
	}
}

// dependencies returns all packages outside the standard library that a package
// of this module compiles on a system, itself included.
func dependencies(t *testing.T, pkg, system string) []string {
	t.Helper()
	c := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", pkg)
	c.Dir = "../.."
	c.Env = append(c.Environ(), "GOOS="+system, "CGO_ENABLED=0")
	out, err := c.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}
