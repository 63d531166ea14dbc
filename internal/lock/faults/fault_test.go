package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"testing"
)

// TestFaultsApply wants each fault to apply to the code as it is and to leave it
// readable. Whether the tests catch it is for the program to find out.
func TestFaultsApply(t *testing.T) {
	names := map[string]bool{}
	for _, f := range allFaults() {
		if names[f.name] || f.name == "" {
			t.Errorf("%q stands twice, or has no name", f.name)
		}
		names[f.name] = true
		source, err := os.ReadFile(filepath.Join("..", f.file))
		if err != nil {
			t.Error(err)
			continue
		}
		text, err := f.apply(string(source))
		if err != nil {
			t.Errorf("%s: %v", f.name, err)
			continue
		}
		if _, err := parser.ParseFile(token.NewFileSet(), f.file, text, 0); err != nil {
			t.Errorf("%s: %v", f.name, err)
		}
	}
	if len(names) < 25 {
		t.Errorf("%d faults are too few", len(names))
	}
}
