package cli

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// A cell is text in a table. Whatever it says, it is shown in one line.
type cell struct {
	text  string
	style style
}

// A table is rows of cells.
type table struct{ rows [][]cell }

// add adds a row.
func (t *table) add(cells ...cell) { t.rows = append(t.rows, cells) }

// addTexts adds a row of one style.
func (t *table) addTexts(s style, texts ...string) {
	row := make([]cell, 0, len(texts))
	for _, text := range texts {
		row = append(row, cell{text, s})
	}
	t.add(row...)
}

// maxAligned is how many columns of a terminal a cell may take and make others as
// wide. One name of many kilobytes would be as many blanks in every other line.
const maxAligned = 100

// lines returns the rows with their columns aligned.
func (t *table) lines(color bool) []string {
	widths := t.widths()
	lines := make([]string, 0, len(t.rows))
	for _, row := range t.rows {
		lines = append(lines, rowLine(row, widths, color))
	}
	return lines
}

// widths returns how wide columns are. The last cell of a row does not make its column
// wider than it must be, nor does one that is very wide.
func (t *table) widths() []int {
	var widths []int
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if i == len(row)-1 && i < len(widths)-1 {
				continue
			}
			if n := columns(printable(c.text)); n <= maxAligned {
				widths[i] = max(widths[i], n)
			}
		}
	}
	return widths
}

// rowLine returns a row without blanks at its end.
func rowLine(row []cell, widths []int, color bool) string {
	const gap = 2
	var b strings.Builder
	blanks := 0
	for i, c := range row {
		text := printable(c.text)
		used := columns(text)
		if text != "" {
			b.WriteString(strings.Repeat(" ", blanks))
			blanks = 0
			if color {
				text = c.style.paint(text)
			}
			b.WriteString(text)
		}
		blanks += max(0, widths[i]-used) + gap
	}
	return b.String()
}

// A sheet is a thing described: a label and what it is, line by line.
type sheet struct {
	rows  [][2]string // rendered
	color bool
}

// field adds one line.
func (s *sheet) field(label, text string) { s.block(label, &table{rows: [][]cell{{{text: text}}}}) }

// block adds as many lines as a table has. Only the first has the label.
func (s *sheet) block(label string, t *table) {
	for i, line := range t.lines(s.color) {
		if i > 0 {
			label = ""
		}
		s.rows = append(s.rows, [2]string{label, line})
	}
}

// lines returns all of it. Labels end with a colon, and what they stand for begins
// in the same column.
func (s *sheet) lines() []string {
	const least = 10
	indent := least
	for _, r := range s.rows {
		indent = max(indent, len(r[0])+2)
	}
	var lines []string
	for _, r := range s.rows {
		label := r[0]
		if label != "" {
			label += ":"
		}
		padding := strings.Repeat(" ", indent-len(label))
		if s.color {
			label = heading.paint(label)
		}
		lines = append(lines, strings.TrimRight(label+padding+r[1], " "))
	}
	return lines
}

// columns returns how many columns of a terminal a text takes.
func columns(text string) int {
	n := 0
	for _, r := range text {
		n += columnsOf(r)
	}
	return n
}

func columnsOf(r rune) int {
	if r < utf8.RuneSelf {
		return 1 // what is shown has no control characters
	}
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
		return 0
	}
	if k := width.LookupRune(r).Kind(); k == width.EastAsianWide || k == width.EastAsianFullwidth {
		return 2
	}
	return 1
}

// number is a count in words.
func number(n int) string { return strconv.Itoa(n) }

// counted is a number of things: 1 holder, 2 holders.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// either is the first text that is not empty.
func either(texts ...string) string {
	i := slices.IndexFunc(texts, func(s string) bool { return s != "" })
	if i < 0 {
		return ""
	}
	return texts[i]
}
