package lock

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"
)

// resultLines renders all that came out of an entry: a line for each outcome,
// settled request and event, with every field that is not zero.
func resultLines(r *Result, names []string) []string {
	var lines []string
	if r.Stale {
		lines = append(lines, "stale")
	}
	for i := range r.Outcomes {
		name := "outcome"
		if i < len(names) {
			name = names[i]
		}
		lines = append(lines, fmt.Sprintf("%s: %s", name, r.Outcomes[i].words()))
	}
	for i := range r.Settled {
		lines = append(lines, "settled: "+r.Settled[i].words())
	}
	for i := range r.Events {
		lines = append(lines, r.Events[i].words())
	}
	return lines
}

func (o *Outcome) words() string {
	rest := *o
	rest.Code = 0
	return joinWords(o.Code.String(), wordsOf(rest))
}

func (s *Settled) words() string {
	rest := *s
	rest.Outcome = Outcome{}
	return joinWords(wordsOf(rest)+":", s.Outcome.words())
}

func (e *Event) words() string {
	rest := *e
	rest.Number, rest.Time, rest.Type = 0, 0, 0
	return joinWords(fmt.Sprintf("event %d at %s: %s", e.Number, e.Time, e.Type), wordsOf(rest))
}

func joinWords(a, b string) string { return strings.TrimSpace(a + " " + b) }

// wordsOf renders the fields of a struct that are not zero.
func wordsOf(v any) string {
	var words []string
	s := reflect.ValueOf(v)
	for i := range s.NumField() {
		f := s.Field(i)
		if f.IsZero() {
			continue
		}
		name := snake(s.Type().Field(i).Name)
		if f.Kind() == reflect.Bool {
			words = append(words, name)
		} else {
			words = append(words, name+"="+wordOf(f))
		}
	}
	return strings.Join(words, " ")
}

func wordOf(f reflect.Value) string {
	switch v := f.Interface().(type) {
	case Key:
		return v.Short()
	case Hash:
		return "..." // differs with every change of the format
	case []byte:
		return fmt.Sprintf("%q", v)
	case fmt.Stringer:
		if f.Kind() != reflect.Struct {
			return v.String()
		}
	}
	switch f.Kind() {
	case reflect.Pointer:
		return wordOf(f.Elem())
	case reflect.Struct:
		return "{" + wordsOf(f.Interface()) + "}"
	case reflect.Slice:
		var parts []string
		for i := range f.Len() {
			parts = append(parts, wordOf(f.Index(i)))
		}
		return "[" + strings.Join(parts, " ") + "]"
	default:
		return fmt.Sprint(f.Interface())
	}
}

// snake renders a Go name as flags and scripts have it: AtOnce is at_once,
// RequestID is request_id.
func snake(name string) string {
	var b strings.Builder
	runes := []rune(strings.ReplaceAll(name, "IDs", "Ids"))
	for i, r := range runes {
		upper := unicode.IsUpper(r)
		afterLower := i > 0 && !unicode.IsUpper(runes[i-1])
		beforeLower := i+1 < len(runes) && !unicode.IsUpper(runes[i+1])
		if upper && i > 0 && (afterLower || beforeLower) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
