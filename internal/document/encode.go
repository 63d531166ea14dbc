package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"
)

// Time is a moment: RFC 3339 in UTC, to the millisecond.
type Time time.Time

// timeFormat keeps the digits aligned, so that text sorts as time does.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// MarshalText writes the time.
func (t Time) MarshalText() ([]byte, error) {
	return time.Time(t).UTC().AppendFormat(nil, timeFormat), nil
}

// UnmarshalText reads what any writer of RFC 3339 has written.
func (t *Time) UnmarshalText(b []byte) error {
	v, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil {
		return fmt.Errorf("%q is no time of RFC 3339", b)
	}
	*t = Time(v)
	return nil
}

// Number is a token, or the number of a session or an event, in decimal digits.
// "" says nothing.
type Number string

// NumberOf returns a number, or "" for 0, which is none.
func NumberOf(n uint64) Number {
	if n == 0 {
		return ""
	}
	return Number(strconv.FormatUint(n, 10))
}

// Span returns a duration as documents have it: in Go's notation, and in whole
// milliseconds, which are what both say.
func Span(d time.Duration) (text string, ms *int64) {
	d = d.Truncate(time.Millisecond)
	n := d.Milliseconds()
	return d.String(), &n
}

// Append appends a document to b as one line of JSON without its end. Besides what
// JSON wants escaped it escapes the other control characters, so that text that
// others chose does nothing to a terminal.
func Append(b []byte, doc any) ([]byte, error) {
	var plain bytes.Buffer
	e := json.NewEncoder(&plain)
	e.SetEscapeHTML(false)
	if err := e.Encode(doc); err != nil {
		return b, fmt.Errorf("cannot encode a document: %w", err)
	}
	return appendEscaped(b, bytes.TrimSuffix(plain.Bytes(), []byte("\n"))), nil
}

// appendEscaped appends JSON. All control characters that are left in it are
// within strings.
func appendEscaped(b, text []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if Hidden(r) {
			b = fmt.Appendf(b, `\u%04x`, r)
		} else {
			b = append(b, text[:n]...)
		}
		text = text[n:]
	}
	return b
}

// Hidden reports whether a character does something to a terminal instead of
// being shown there: control characters, and those that turn the direction of the
// text around them.
func Hidden(r rune) bool {
	const (
		firstEmbedding, lastEmbedding = '\u202a', '\u202e'
		firstIsolate, lastIsolate     = '\u2066', '\u2069'
	)
	return unicode.IsControl(r) || r >= firstEmbedding && r <= lastEmbedding || r >= firstIsolate && r <= lastIsolate
}
