package lock

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// FuzzDecodeCommands decodes bytes. What it takes for commands is encoded again
// and comes back the same.
func FuzzDecodeCommands(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		cmds, err := DecodeCommands(b)
		if err != nil {
			return
		}
		again, err := AppendCommands(nil, cmds)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeCommands(again)
		if err != nil || !reflect.DeepEqual(got, cmds) {
			t.Fatalf("encoded and decoded again: %v\n%s\n%s",
				err, describeCommands(Entry{Commands: got}), describeCommands(Entry{Commands: cmds}))
		}
	})
}

// FuzzApply applies commands that were decoded from bytes, with some time before
// each (quarters of a second), and checks the table after each. A table that is
// saved and restored on the way says the same.
func FuzzApply(f *testing.F) {
	f.Fuzz(func(t *testing.T, b, times []byte) {
		const mostCommands = 200
		cmds, err := DecodeCommands(b)
		if err != nil || len(cmds) > mostCommands {
			return
		}
		table, twin := New(), New()
		for i, c := range cmds {
			e := Entry{Term: 1, StampTerm: 1, Commands: []Command{c}}
			if i < len(times) {
				e.Elapsed = Duration(times[i]) * Second / 4
			}
			got := strings.Join(resultLines(table.Apply(e), nil), "\n")
			want := strings.Join(resultLines(twin.Apply(e), nil), "\n")
			if err := table.Check(); err != nil {
				t.Fatalf("after %s: %v", describeCommands(e), err)
			}
			if got != want || table.Hash() != twin.Hash() {
				t.Fatalf("after %s the restored table answers\n%s\nthe other\n%s", describeCommands(e), got, want)
			}
			if i%8 == 7 {
				if twin, err = copyOf(twin); err != nil {
					t.Fatalf("after %s: %v", describeCommands(e), err)
				}
			}
		}
	})
}

// FuzzRestorer restores from bytes: as they are, and as records whose count and
// checksum are made right. What it takes for a table is one, and goes on as one.
func FuzzRestorer(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte, cut uint) {
		if _, err := restore(b[:cut%uint(len(b)+1)], b[cut%uint(len(b)+1):]); err != nil {
			b = mended(b)
		}
		table, err := restore(b)
		if err != nil {
			return
		}
		if err := table.Check(); err != nil {
			t.Fatal(err)
		}
		again, err := copyOf(table)
		if err != nil || again.Hash() != table.Hash() {
			t.Fatalf("saved and restored again: %v", err)
		}
		for _, e := range []Entry{{Elapsed: Second}, {Term: 1 << 62, StampTerm: 1 << 62, Elapsed: Minute}} {
			table.Apply(e)
			if err := table.Check(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// mended cuts bytes into records as far as they go and adds the right end.
func mended(b []byte) []byte {
	var all [][]byte
	for len(b) > 0 && b[0] != recordEnd {
		d := decoder{b: b[1:]}
		d.take(d.uint())
		if d.err != nil {
			break
		}
		n := len(b) - len(d.b)
		all, b = append(all, b[:n]), b[n:]
	}
	return stream(all)
}

// TestCorpora wants seeds that are worth their place: each is taken whole. With
// -rewrite it makes them, from random histories.
func TestCorpora(t *testing.T) {
	for seed := range uint64(6) {
		cmds, times := storyOf(t, 100+seed)
		b, err := AppendCommands(nil, cmds)
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("story-%d", seed)
		seedFile(t, "FuzzDecodeCommands", name, fmt.Sprintf("[]byte(%q)", b))
		seedFile(t, "FuzzApply", name, fmt.Sprintf("[]byte(%q)\n[]byte(%q)", b, times))
		_, snapshot := lively(t, 200+seed, 30)
		seedFile(t, "FuzzRestorer", name, fmt.Sprintf("[]byte(%q)\nuint(%d)", snapshot, 100*seed))
	}
	full, err := AppendCommands(nil, filled())
	if err != nil {
		t.Fatal(err)
	}
	seedFile(t, "FuzzDecodeCommands", "every-field", fmt.Sprintf("[]byte(%q)", full))
}

// storyOf returns commands that make sense after each other, and the times between.
func storyOf(t *testing.T, seed uint64) (cmds []Command, times []byte) {
	g := seeded(seed)
	table := New()
	for len(cmds) < 60 {
		e := g.entry(1)
		e.StampTerm, e.Commands = 1, e.Commands[:1]
		e.Elapsed -= e.Elapsed % (Second / 4)
		cmds, times = append(cmds, e.Commands...), append(times, byte(e.Elapsed/(Second/4)))
		g.learn(e.Commands, table.Apply(e))
	}
	return cmds, times
}

// seedFile writes a seed with -rewrite, and wants it to be there without.
func seedFile(t *testing.T, target, name, values string) {
	t.Helper()
	path := filepath.Join("testdata", "fuzz", target, name)
	if !*rewrite {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
		return
	}
	text := "go test fuzz v1\n" + values + "\n"
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
