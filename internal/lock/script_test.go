package lock

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write what comes out into the scripts of testdata")

// TestScripts runs the scripts of testdata. A script begins with a paragraph of
// purpose. Then come blocks: lines of commands, a line of dashes, and all that
// came out, up to an empty line.
func TestScripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no scripts", err)
	}
	seen := seenNames{}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := runScript(t, string(want), seen)
			if *rewrite {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if diff := firstDifference(string(want), got); diff != "" {
				t.Errorf("%s: %s", path, diff)
			}
			seen["scripts"]++
		})
	}
	if seen["scripts"] == len(paths) { // and not only those that -run selects
		seen.wantAll(t)
	}
}

// seenNames counts the codes, fields, reasons and types of events that came out.
type seenNames map[string]int

func (s seenNames) note(r *Result) {
	outcome := func(o *Outcome) {
		s["code "+o.Code.String()]++
		s["field "+o.Field.String()]++
		s["reason "+o.Reason.String()]++
	}
	for i := range r.Outcomes {
		outcome(&r.Outcomes[i])
	}
	for i := range r.Settled {
		outcome(&r.Settled[i].Outcome)
	}
	for i := range r.Events {
		s["event "+r.Events[i].Type.String()]++
		s["reason "+r.Events[i].Reason.String()]++
	}
}

// wantAll fails if there is something that no script reaches.
func (s seenNames) wantAll(t *testing.T) {
	want := func(kind, name string) {
		if s[kind+" "+name] == 0 {
			t.Errorf("no script reaches %s %s", kind, name)
		}
	}
	for v := range numCodes {
		want("code", v.String())
	}
	for v := range numFields {
		want("field", v.String())
	}
	for v := range numEndReasons {
		want("reason", v.String())
	}
	for v := EventType(1); v < numEventTypes; v++ {
		want("event", v.String())
	}
}

// runScript returns the script with what comes out in place of what is expected.
func runScript(t *testing.T, text string, seen seenNames) string {
	if !strings.HasPrefix(text, "# ") {
		t.Error("the script does not begin with its purpose")
	}
	s, out, block := newScript(t, seen), []string{}, []string(nil)
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		out = append(out, lines[i])
		switch s.line = i + 1; {
		case lines[i] == "----":
			out = append(out, s.run(block)...)
			for block = nil; i+1 < len(lines) && lines[i+1] != ""; i++ {
			}
		case lines[i] != "" && !strings.HasPrefix(lines[i], "#"):
			block = append(block, lines[i])
		}
	}
	if block != nil {
		t.Errorf("line %d: a block without ----", len(lines))
	}
	return strings.Join(out, "\n")
}

// firstDifference says where two texts begin to differ; "" if they do not.
func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		switch {
		case i >= len(w):
			return "goes on with " + g[i]
		case i >= len(g):
			return "ends before " + w[i]
		case w[i] != g[i]:
			return "line " + itoa(i+1) + "\nwant: " + w[i] + "\ngot:  " + g[i] + "\nin:\n  " +
				strings.Join(g[max(0, i-12):min(len(g), i+12)], "\n  ")
		}
	}
	return ""
}
