package client_test

import (
	"bytes"
	"flag"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "rewrite testdata/api.txt")

// TestAPI compares what the package exports with two lists. Everything that
// version 1.1.1 documented must be there as it was (its unexported types client
// and refresher are Client and Refresher here). Everything else is listed too,
// so that nothing changes unnoticed.
func TestAPI(t *testing.T) {
	got := exports(t)
	const file = "testdata/api.txt"
	if *rewrite {
		if err := os.WriteFile(file, []byte(strings.Join(got, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range lines(t, "testdata/api-v1.1.1.txt") {
		if !slices.Contains(got, line) {
			t.Errorf("version 1.1.1 has, and this package has not: %s", line)
		}
	}
	want := lines(t, file)
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("new, or changed: %s (run go test -rewrite if that is meant)", line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("gone, or changed: %s", line)
		}
	}
}

// TestConfigBegins wants Config's fields of version 1.1.1 first and in their
// order: new ones go to the end.
func TestConfigBegins(t *testing.T) {
	var fields []string
	for _, line := range exports(t) {
		if strings.HasPrefix(line, "field Config.") {
			fields = append(fields, line)
		}
	}
	var old []string
	for _, line := range lines(t, "testdata/api-v1.1.1.txt") {
		if strings.HasPrefix(line, "field Config.") {
			old = append(old, line)
		}
	}
	if len(fields) < len(old) || !slices.Equal(fields[:len(old)], old) {
		t.Errorf("fields of Config: %q, want first %q", fields, old)
	}
}

func lines(t *testing.T, file string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

var spaces = regexp.MustCompile(`\s+`)

// exports lists the exported declarations, one a line, fields in their order.
func exports(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var all []string
	text := func(n ast.Node) string {
		var b bytes.Buffer
		if err := printer.Fprint(&b, fset, n); err != nil {
			t.Fatal(err)
		}
		return spaces.ReplaceAllString(b.String(), " ")
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			all = append(all, declared(d, text)...)
		}
	}
	slices.SortStableFunc(all, func(a, b string) int {
		return strings.Compare(strings.SplitN(a, ".", 2)[0], strings.SplitN(b, ".", 2)[0])
	})
	return all
}

func declared(d ast.Decl, text func(ast.Node) string) []string {
	var all []string
	switch d := d.(type) {
	case *ast.FuncDecl:
		if !d.Name.IsExported() {
			return nil
		}
		signature := strings.TrimPrefix(text(d.Type), "func")
		if d.Recv == nil {
			return []string{"func " + d.Name.Name + signature}
		}
		if receiver := text(d.Recv.List[0].Type); ast.IsExported(strings.TrimPrefix(receiver, "*")) {
			return []string{"method (" + receiver + ") " + d.Name.Name + signature}
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.ValueSpec:
				for _, n := range s.Names {
					if n.IsExported() {
						all = append(all, d.Tok.String()+" "+n.Name)
					}
				}
			case *ast.TypeSpec:
				all = append(all, declaredType(s, text)...)
			}
		}
	}
	return all
}

func declaredType(s *ast.TypeSpec, text func(ast.Node) string) []string {
	if !s.Name.IsExported() {
		return nil
	}
	st, ok := s.Type.(*ast.StructType)
	if !ok {
		return []string{"type " + s.Name.Name + " " + text(s.Type)}
	}
	all := []string{"type " + s.Name.Name + " struct"}
	for _, f := range st.Fields.List {
		for _, n := range f.Names {
			if n.IsExported() {
				all = append(all, "field "+s.Name.Name+"."+n.Name+" "+text(f.Type))
			}
		}
	}
	return all
}
