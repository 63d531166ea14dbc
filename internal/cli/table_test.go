package cli

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ldlm-io/ldlm/internal/document"
)

func TestColumns(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "abc": 3, "é": 1, "e\u0301": 1, "漢字": 4, "ｆ": 2, "a\u200db": 2, "🔒": 2, "日本 x": 6,
	} {
		if got := columns(text); got != want {
			t.Errorf("%q takes %d columns, want %d", text, got, want)
		}
	}
}

// Columns are aligned whatever is in them; nothing is left at the end of a line.
func TestTableLines(t *testing.T) {
	table := &table{}
	table.addTexts(heading, "A", "B", "C")
	table.addTexts(plain, "漢字", "x", "")
	table.addTexts(plain, "a\nb", "", "")
	table.addTexts(plain, "e\u0301", "", "last")
	table.addTexts(plain, "a last cell that is wider than its column")
	want := []string{
		"A     B  C",
		"漢字  x",
		`a\nb`,
		"e\u0301        last",
		"a last cell that is wider than its column",
	}
	if got := table.lines(false); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// One name of many kilobytes costs its own line, and no other.
func TestTableLinesBesideAHugeCell(t *testing.T) {
	huge := strings.Repeat("n", 1<<16)
	table := &table{}
	table.addTexts(plain, "name", "x")
	table.addTexts(plain, huge, "y")
	table.addTexts(plain, strings.Repeat("w", maxAligned), "z")
	want := []string{"name" + strings.Repeat(" ", maxAligned-2) + "x", huge + "  y", strings.Repeat("w", maxAligned) + "  z"}
	if got := table.lines(false); !slices.Equal(got, want) {
		t.Errorf("the first line takes %d bytes, want %d", len(got[0]), len(want[0]))
	}
}

// Colours take no columns.
func TestTableLinesInColor(t *testing.T) {
	table := &table{}
	table.add(cell{"a", trouble}, cell{"b", plain})
	table.add(cell{"aaa", plain}, cell{"", good})
	want := []string{"\x1b[31ma\x1b[0m    b", "aaa"}
	if got := table.lines(true); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"plain é 漢": "plain é 漢", "a\nb": `a\nb`, "\x1b[2J": `\x1b[2J`, "\u009b": `\u009b`, "x\u202ey": `x\u202ey`, "\x7f": `\x7f`,
	} {
		if got := printable(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

func TestPattern(t *testing.T) {
	for _, c := range []struct {
		pattern pattern
		prefix  string
		yes, no []string
	}{
		{"", "", []string{"", "a", "a*b"}, nil},
		{"a", "a", []string{"a"}, []string{"", "ab", "A"}},
		{"*", "", []string{"", "a"}, nil},
		{"a*", "a", []string{"a", "ab", "a*"}, []string{"ba", ""}},
		{"*a", "", []string{"a", "ba"}, []string{"ab"}},
		{"a*a", "a", []string{"aa", "aba"}, []string{"a", "ab"}},
		{"*b*", "", []string{"b", "abc"}, []string{"ac"}},
		{"a*b*c", "a", []string{"abc", "axbxc", "abbcc"}, []string{"ac", "acb", "abcd"}},
		{"a**c", "a", []string{"ac", "abc"}, []string{"a"}},
		{"*ab*ab*", "", []string{"abab", "xabyabz"}, []string{"ab", "aba"}},
		{"invoice/*", "invoice/", []string{"invoice/77", "invoice/a/b"}, []string{"invoice"}},
	} {
		if got := c.pattern.prefix(); got != c.prefix {
			t.Errorf("%q: prefix %q, want %q", c.pattern, got, c.prefix)
		}
		for _, name := range c.yes {
			if !c.pattern.matches(name) {
				t.Errorf("%q does not match %q", c.pattern, name)
			}
		}
		for _, name := range c.no {
			if c.pattern.matches(name) {
				t.Errorf("%q matches %q", c.pattern, name)
			}
		}
	}
}

func TestColorRules(t *testing.T) {
	for _, c := range []struct {
		flag     string
		env      environment
		terminal bool
		want     bool
	}{
		{colorAuto, nil, false, false},
		{colorAuto, nil, true, true},
		{colorAuto, environment{"TERM": "dumb"}, true, false},
		{colorAuto, environment{"TERM": "xterm"}, true, true},
		{colorAuto, environment{"NO_COLOR": "1"}, true, false},
		{colorAuto, environment{"NO_COLOR": ""}, true, true},
		{colorAuto, environment{"CLICOLOR_FORCE": "1"}, false, true},
		{colorAuto, environment{"CLICOLOR_FORCE": "0"}, false, false},
		{colorAuto, environment{"CLICOLOR_FORCE": "1", "TERM": "dumb"}, true, true},
		{colorAuto, environment{"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, true, false},
		{colorAlways, environment{"NO_COLOR": "1", "TERM": "dumb"}, false, true},
		{colorNever, environment{"CLICOLOR_FORCE": "1"}, true, false},
	} {
		f := &clientFlags{color: c.flag, p: &Process{Getenv: c.env.in(""), StdoutIsTerminal: c.terminal}}
		if got := f.colors(); got != c.want {
			t.Errorf("%+v: %t", c, got)
		}
	}
}

func TestSortedLocks(t *testing.T) {
	for sort, want := range map[string][]string{
		sortName:    {"catalog", "es-slots", "idle", "idle-slots", "next", "nightly-backup", "shut", "漢字\n\x1b[31mred\u202e"},
		sortAge:     {"catalog", "nightly-backup", "es-slots", "shut", "漢字\n\x1b[31mred\u202e", "idle", "idle-slots", "next"},
		sortWaiters: {"es-slots", "nightly-backup", "next", "catalog", "idle", "idle-slots", "shut", "漢字\n\x1b[31mred\u202e"},
		sortLease:   {"漢字\n\x1b[31mred\u202e", "shut", "nightly-backup", "catalog", "es-slots", "idle", "idle-slots", "next"},
	} {
		var all []element
		for _, l := range locks().Locks {
			all = append(all, lockElement(l, sort))
		}
		slices.Reverse(all)
		v, err := (&lsCommand{sort: sort}).list().view(now, all)
		if err != nil {
			t.Fatal(err)
		}
		got := v.names
		if !slices.Equal(got, want) {
			t.Errorf("by %s: got %q\nwant %q", sort, got, want)
		}
	}
}

func TestEventTypes(t *testing.T) {
	var types eventTypes
	if !types.has("acquired") || types.String() != "" {
		t.Error("none means all")
	}
	for _, s := range []string{"acquired,session closed", "session-expired"} {
		if err := types.Set(s); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := types.String(), "acquired,session_closed,session_expired"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if types.has("queued") || !types.has("session_closed") {
		t.Error("has what it was not given, or has not what it was")
	}
	for word, want := range map[string]string{"nope": "there are queued, acquired, ", "acquird": "did you mean acquired?"} {
		if err := types.Set("released," + word); err == nil || !strings.Contains(err.Error(), `there is no event "`+word+`"; `+want) {
			t.Errorf("%s: %v", word, err)
		}
	}
}

// Every reason and type that the client knows has a word, and no two the same.
func TestWords(t *testing.T) {
	seen := map[string]bool{"": true, document.Reset: true}
	for _, word := range eventWords() {
		if seen[word] {
			t.Errorf("%q is there twice", word)
		}
		seen[word] = true
	}
}

// The matcher does what a regular expression would.
func TestPatternLikeRegexp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.StringMatching(`[ab*]{0,8}`).Draw(t, "pattern")
		name := rapid.StringMatching(`[ab]{0,10}`).Draw(t, "name")
		like := regexp.MustCompile("^" + strings.ReplaceAll(p, "*", ".*") + "$")
		if got, want := pattern(p).matches(name), p == "" || like.MatchString(name); got != want {
			t.Errorf("%q matches %q: %t, want %t", p, name, got, want)
		}
		if pattern(p).matches(name) && !strings.HasPrefix(name, pattern(p).prefix()) {
			t.Errorf("%q is matched, but does not begin with %q", name, pattern(p).prefix())
		}
	})
}
