package supervise

import (
	"os"
	"slices"
	"testing"
)

func TestParseStat(t *testing.T) {
	const rest = " 2 3 4 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 100 1 1"
	for _, c := range []struct {
		stat string
		want process
	}{
		{"7 (sh) S" + rest, process{pid: 7, parent: 2, group: 3, session: 4}},
		{"7 (a) Z 9 (b)) R" + rest, process{pid: 7, parent: 2, group: 3, session: 4}},
		{"7 (sh) Z" + rest, process{pid: 7, parent: 2, group: 3, session: 4, dead: true}},
		{"7 (first thread) Z 2 3 4 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 5 0 100", process{pid: 7, parent: 2, group: 3, session: 4}},
	} {
		if got, err := parseStat(7, []byte(c.stat)); err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v", c.stat, got, err)
		}
	}
	for _, bad := range []string{"", "7 (sh", "7 (sh) S 1 2", ")"} {
		if got, err := parseStat(7, []byte(bad)); err == nil {
			t.Errorf("%q is %+v", bad, got)
		}
	}
}

func TestTableHasThisProcess(t *testing.T) {
	table, err := processes()
	i := slices.IndexFunc(table, func(p process) bool { return p.pid == os.Getpid() })
	if err != nil || i < 0 || table[i].parent != os.Getppid() || table[i].dead {
		t.Errorf("place %d of %d, %v", i, len(table), err)
	}
	if len(os.Environ()) > 0 && !marked(os.Getpid(), os.Environ()[0]) {
		t.Errorf("this process was not started with %q", os.Environ()[0])
	}
	if marked(os.Getpid(), "NOT=there") || marked(0, "") {
		t.Error("marks of nobody")
	}
}

// In the foreground a child is what descends from it in the session, and what has
// its mark; others of the group are not.
func TestForegroundMembers(t *testing.T) {
	const self, child, session = 10, 20, 5
	g := group{foreground: true, pid: child, session: session}
	table := []process{
		{pid: self, parent: 5, group: self, session: session},
		{pid: child, parent: self, group: self, session: session},
		{pid: 21, parent: child, group: self, session: session},
		{pid: 22, parent: 21, group: 22, session: session}, // a job of a shell
		{pid: 23, parent: 21, group: 23, session: 23},      // a daemon
		{pid: 24, parent: child, group: self, session: session, dead: true},
		{pid: 30, parent: 5, group: self, session: session},  // the rest of a pipeline
		{pid: 40, parent: 41, group: self, session: session}, // a table that changed
		{pid: 41, parent: 40, group: self, session: session},
	}
	if got, want := g.among(table), []int{20, 21, 22}; !slices.Equal(got, want) {
		t.Errorf("members %v, want %v", got, want)
	}
	g.foreground, g.pid = false, self
	if got, want := g.among(table), []int{10, 20, 21, 30, 40, 41}; !slices.Equal(got, want) {
		t.Errorf("a group of its own: members %v, want %v", got, want)
	}
	g.pid = 0
	if got := g.among(table); len(got) > 0 {
		t.Errorf("not started, but it has %v", got)
	}
}
