package archtest

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode"
)

// Links between the documents of the repository lead somewhere.
func TestLinks(t *testing.T) {
	broken, links, err := brokenLinks(os.DirFS(filepath.Join("..", "..")))
	if err != nil {
		t.Fatal(err)
	}
	if links == 0 {
		t.Error("there are no links at all: the search for them is broken")
	}
	for _, b := range broken {
		t.Error(b)
	}
}

func TestBrokenLinksAreFound(t *testing.T) {
	files := fstest.MapFS{
		"README.md": {Data: []byte("# Top\n[a](docs/a.md), [anchor](docs/a.md#two-words), [dup](docs/a.md#same-1),\n" +
			"[self](#top), [web](https://example.com/x), ![folder](docs/)\n" +
			"[gone](docs/gone.md) [no anchor](docs/a.md#three) [not here](#bottom) [no heading](docs/x.sh#l1)\n" +
			"[ref]\n\n[ref]: docs/ref.md\n[out](../elsewhere.md) [rooted](/docs/a.md)\n")},
		"docs/a.md": {Data: []byte("## Two `words`!\n## Same\n## Same\n[up](../README.md#top)\n" +
			"```\n[in code](nowhere.md)\n# not a heading\n```\n`[in a span](nowhere.md)` [in code](#not-a-heading)\n")},
		"docs/x.sh": {Data: []byte("true\n")},
	}
	got, links, err := brokenLinks(files)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"README.md:4: docs/gone.md: there is no such file",
		"README.md:4: docs/a.md#three: no such heading",
		"README.md:4: #bottom: no such heading",
		"README.md:4: docs/x.sh#l1: no such heading",
		"README.md:7: docs/ref.md: there is no such file",
		"README.md:8: ../elsewhere.md: there is no such file",
		"README.md:8: /docs/a.md: there is no such file",
		"docs/a.md:9: #not-a-heading: no such heading",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if links != 15 {
		t.Errorf("got %d links, want 15", links)
	}
}

// A link is where a document points to.
type link struct {
	line   int
	target string
}

// brokenLinks returns the links of all documents that lead to no file, folder or
// heading, and how many links there are. What lies on the web is not asked for.
func brokenLinks(root fs.FS) (broken []string, links int, err error) {
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".md":
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		for _, l := range linksOf(string(text)) {
			links++
			if why := follow(root, name, l.target); why != "" {
				broken = append(broken, fmt.Sprintf("%s:%d: %s: %s", name, l.line, l.target, why))
			}
		}
		return nil
	})
	return broken, links, err
}

// follow says why a link of a document leads nowhere, or "".
func follow(root fs.FS, from, target string) string {
	if strings.Contains(target, ":") { // https, mailto
		return ""
	}
	file, anchor, anchored := strings.Cut(target, "#")
	to := from
	if file != "" {
		to = path.Join(path.Dir(from), file)
	}
	if strings.HasPrefix(file, "/") || !fs.ValidPath(to) {
		return "there is no such file"
	}
	if _, err := fs.Stat(root, to); err != nil {
		return "there is no such file"
	}
	if !anchored {
		return ""
	}
	text, err := fs.ReadFile(root, to)
	if err != nil || path.Ext(to) != ".md" || !slices.Contains(anchorsOf(string(text)), anchor) {
		return "no such heading"
	}
	return ""
}

// prose returns the lines of a document with its blocks and spans of code
// blanked out, spans only if asked for.
func prose(text string, spans bool) []string {
	code := regexp.MustCompile("`[^`]*`")
	var lines []string
	fenced := false
	for line := range strings.Lines(text) {
		fence := strings.HasPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence:
			fenced = !fenced
			line = ""
		case fenced:
			line = ""
		case spans:
			line = code.ReplaceAllString(line, "")
		}
		lines = append(lines, strings.TrimRight(line, "\r\n"))
	}
	return lines
}

// linksOf returns the links of a document, inline ones and definitions.
func linksOf(text string) []link {
	inline := regexp.MustCompile(`\]\(([^()\s]+)(?:\s+"[^"]*")?\)`)
	definition := regexp.MustCompile(`^\[[^\]]+\]:\s+(\S+)`)
	var links []link
	for i, line := range prose(text, true) {
		for _, re := range []*regexp.Regexp{inline, definition} {
			for _, m := range re.FindAllStringSubmatch(line, -1) {
				links = append(links, link{i + 1, m[1]})
			}
		}
	}
	return links
}

// anchorsOf returns the names by which the headings of a document are linked to:
// lower case, blanks to hyphens, without punctuation, and numbered where they
// would be the same.
func anchorsOf(text string) []string {
	var anchors []string
	seen := map[string]int{}
	for _, line := range prose(text, false) {
		title := strings.TrimLeft(line, "#")
		if level := len(line) - len(title); level == 0 || level > 6 || !strings.HasPrefix(title, " ") {
			continue
		}
		anchor := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			default:
				return -1
			}
		}, strings.TrimSpace(title))
		n := seen[anchor]
		seen[anchor]++
		if n > 0 {
			anchor = fmt.Sprintf("%s-%d", anchor, n)
		}
		anchors = append(anchors, anchor)
	}
	return anchors
}
