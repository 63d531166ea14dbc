package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every promise names tests, and every test that is named exists.
func TestGuaranteesAreTested(t *testing.T) {
	text, err := os.ReadFile("guarantees.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile("(?m)^\\* `([^`]+)` ((?:Test\\w+(?:, )?)+)$")
	promises := regexp.MustCompile(`(?m)^## \d+\. .*$`).FindAllStringIndex(string(text), -1)
	if len(promises) < 8 {
		t.Fatalf("there are %d promises", len(promises))
	}
	for i, p := range promises {
		end := len(text)
		if i+1 < len(promises) {
			end = promises[i+1][0]
		}
		named := line.FindAllStringSubmatch(string(text[p[0]:end]), -1)
		if len(named) == 0 {
			t.Errorf("%s: no test is named", text[p[0]:p[1]])
		}
		for _, n := range named {
			for test := range strings.SplitSeq(n[2], ", ") {
				if !isTest(t, n[1], test) {
					t.Errorf("%s: there is no %s in %s", text[p[0]:p[1]], test, n[1])
				}
			}
		}
	}
	if all := strings.Count(string(text), "\n* `"); all != len(line.FindAll(text, -1)) {
		t.Errorf("of %d lines that begin with a package only %d can be read", all, len(line.FindAll(text, -1)))
	}
}

// isTest reports whether a package has a test of this name.
func isTest(t *testing.T, pkg, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(pkg), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "\nfunc "+name+"(t *testing.T)") {
			return true
		}
	}
	return false
}
