package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ldlm-io/ldlm/internal/document"
)

// yamlOf writes JSON as YAML, with the fields in the same order.
func yamlOf(text []byte) ([]byte, error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return nil, fmt.Errorf("cannot turn JSON into YAML: %w", err)
	}
	w := yamlWriter{in: compact.Bytes()}
	w.value(0, atStart)
	return w.out, nil
}

// appendYAMLElement appends an element of a list that is a field of a document. It is
// compact JSON.
func appendYAMLElement(b, text []byte) []byte {
	const indent = 2
	w := yamlWriter{in: text, out: append(b, "  -"...)}
	w.value(indent+yamlIndent, afterDash)
	return w.out
}

// yamlIndent is how many blanks a level of YAML is worth.
const yamlIndent = 2

// A yamlPlace is what is in the line already in which a value is to begin.
type yamlPlace int

const (
	atStart yamlPlace = iota
	afterKey
	afterDash
)

// A yamlWriter turns JSON, which is compact and correct, into YAML while it reads it. A
// library that makes a tree of it first takes ten times as long.
type yamlWriter struct {
	in  []byte // what is still to be read
	out []byte
}

// value writes the value that comes next, and ends its line.
func (w *yamlWriter) value(indent int, at yamlPlace) {
	opening := w.in[0]
	switch isList := opening == '['; {
	case !isList && opening != '{':
		w.scalar(at)
	case w.in[1] == ']' || w.in[1] == '}':
		w.inLine(at, w.in[:2])
		w.in = w.in[2:]
	default:
		w.children(isList, indent, at)
	}
}

// children writes what is in an object or in a list.
func (w *yamlWriter) children(isList bool, indent int, at yamlPlace) {
	if at == afterKey {
		w.out = append(w.out, '\n')
	}
	for first := true; w.in[0] != ']' && w.in[0] != '}'; first = false {
		w.in = w.in[1:] // what opens it, or a comma
		if first && at == afterDash {
			w.out = append(w.out, ' ')
		} else {
			w.blanks(indent)
		}
		if isList {
			w.out = append(w.out, '-')
			w.value(indent+yamlIndent, afterDash)
			continue
		}
		w.key(indent)
		w.value(indent+yamlIndent, afterKey)
	}
	w.in = w.in[1:]
}

// key writes a key. Readers look for the colon of one without a question mark in the
// next 1024 characters alone.
func (w *yamlWriter) key(indent int) {
	const longest = 128
	key := w.next()
	w.in = w.in[1:] // the colon
	if len(key) <= longest {
		w.text(key)
	} else {
		w.out = append(w.out, "? "...)
		w.text(key)
		w.out = append(w.out, '\n')
		w.blanks(indent)
	}
	w.out = append(w.out, ':')
}

// scalar writes a text, a number or a word.
func (w *yamlWriter) scalar(at yamlPlace) {
	token := w.next()
	if token[0] != '"' {
		w.inLine(at, token)
		return
	}
	w.inLine(at, nil)
	w.out = w.out[:len(w.out)-1]
	w.text(token)
	w.out = append(w.out, '\n')
}

// inLine writes a word and ends the line.
func (w *yamlWriter) inLine(at yamlPlace, word []byte) {
	if at != atStart {
		w.out = append(w.out, ' ')
	}
	w.out = append(append(w.out, word...), '\n')
}

func (w *yamlWriter) blanks(n int) {
	for range n {
		w.out = append(w.out, ' ')
	}
}

// next takes the next token that is no bracket.
func (w *yamlWriter) next() []byte {
	end := 1
	if w.in[0] == '"' {
		for ; w.in[end] != '"'; end++ {
			if w.in[end] == '\\' {
				end++
			}
		}
		end++
	} else {
		for end < len(w.in) && !slices.Contains([]byte(",]}"), w.in[end]) {
			end++
		}
	}
	token := w.in[:end]
	w.in = w.in[end:]
	return token
}

// text writes a string of JSON, in quotes if YAML would see anything else in it.
func (w *yamlWriter) text(token []byte) {
	inside := token[1 : len(token)-1]
	if isPlainYAML(inside) {
		w.out = append(w.out, inside...)
		return
	}
	text := string(inside)
	if bytes.ContainsRune(inside, '\\') {
		if err := json.Unmarshal(token, &text); err != nil {
			panic("cli: a string of JSON is none: " + err.Error())
		}
	}
	w.out = append(w.out, '"')
	for _, r := range text {
		w.out = appendYAMLRune(w.out, r)
	}
	w.out = append(w.out, '"')
}

// appendYAMLRune appends a character that is within double quotes. What would do
// something to a terminal is escaped, and so is what readers of YAML take for the end of
// a line or do not take at all.
func appendYAMLRune(b []byte, r rune) []byte {
	const lineSeparator, paragraphSeparator, byteOrderMark, firstNonCharacter = '\u2028', '\u2029', '\ufeff', '\ufffe'
	switch {
	case r == '"' || r == '\\':
		return append(b, '\\', byte(r))
	case r == '\n':
		return append(b, `\n`...)
	case r == '\t':
		return append(b, `\t`...)
	case document.Hidden(r), r == lineSeparator, r == paragraphSeparator, r == byteOrderMark, r == firstNonCharacter, r == firstNonCharacter+1:
		return fmt.Appendf(b, `\u%04x`, r)
	default:
		return utf8.AppendRune(b, r)
	}
}

// isPlainYAML reports whether the inside of a string of JSON is the same string in YAML
// without quotes, for every reader of it. It is not, too, of much that could be.
func isPlainYAML(s []byte) bool {
	first, _ := utf8.DecodeRune(s)
	switch {
	case len(s) == 0 || isYAMLWord(s):
		return false
	case '0' <= first && first <= '9':
		// A number is neither what ends like a duration nor what has two dots.
		if !strings.ContainsRune("hms", rune(s[len(s)-1])) && bytes.Count(s, []byte(".")) < 2 {
			return false
		}
	case !unicode.IsLetter(first) && first != '/' && first != '_':
		return false
	}
	before := rune(0)
	for _, r := range string(s) {
		switch {
		case unicode.IsLetter(r), '0' <= r && r <= '9', strings.ContainsRune("_-./@+()=,", r):
		case r == ' ' || r == ':':
			if before == ' ' || before == ':' {
				return false
			}
		default:
			return false
		}
		if before == ':' && r == ' ' {
			return false
		}
		before = r
	}
	return before != ' ' && before != ':'
}

// isYAMLWord reports whether a text without quotes is a value of another kind.
func isYAMLWord(s []byte) bool {
	const longest = len("false")
	if len(s) > longest {
		return false
	}
	return slices.Contains([]string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}, strings.ToLower(string(s)))
}

// escapeHidden escapes what would do something to a terminal, except for what ends
// lines and columns.
func escapeHidden(text []byte) []byte {
	var b []byte
	for _, r := range string(text) {
		if r != '\n' && r != '\t' && document.Hidden(r) {
			b = fmt.Appendf(b, `\u%04x`, r)
		} else {
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}
