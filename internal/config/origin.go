package config

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// Source is where a value came from, in order: a later one wins.
type Source uint8

// Sources of values.
const (
	FromDefault Source = iota
	FromFile
	FromEnvironment
	FromFlag
)

// String returns the source's name, as lists have it.
func (s Source) String() string {
	switch s {
	case FromDefault:
		return "default"
	case FromFile:
		return "file"
	case FromEnvironment:
		return "env"
	case FromFlag:
		return "flag"
	default:
		return fmt.Sprintf("Source(%d)", uint8(s))
	}
}

// Origin says where a value came from. The zero value is the default.
type Origin struct {
	Source Source
	// Name is that of the file, of the variable or of the flag.
	Name string
	// Line of the file, counted from 1; 0 is the whole file.
	Line int
}

// String returns the origin in a few words: file ldlm.yaml:3.
func (o Origin) String() string {
	switch o.Source {
	case FromDefault:
		return o.Source.String()
	case FromFile:
		if o.Line > 0 {
			return fmt.Sprintf("%s %s:%d", o.Source, o.Name, o.Line)
		}
		fallthrough
	default:
		return o.Source.String() + " " + o.Name
	}
}

// Origin returns where the value of an option came from, by its name.
func (b *Binding) Origin(name string) Origin {
	if o := b.lookup(name); o != nil {
		return o.origin
	}
	return Origin{}
}

// masked stands for secrets.
const masked = "********"

// A Setting is a value in force.
type Setting struct {
	Name string
	// Text is the value as a flag takes it; what is secret is masked.
	Text   string
	Origin Origin

	value any // as JSON has it
}

// Settings returns what is in force, once it was loaded, in the order of the
// struct: everything that a file or a variable can set.
func (b *Binding) Settings() []Setting {
	var all []Setting
	for _, o := range b.options {
		if o.env == "" {
			continue
		}
		s := Setting{Name: o.flag.Name, Text: o.flag.Value.String(), Origin: o.origin}
		if o.secret {
			s.Text, s.Origin = b.mask(o)
		}
		s.value = typed(o.flag.Value.Type(), s.Text)
		all = append(all, s)
	}
	return all
}

// mask hides a secret. One that is kept in a file of its own is that file's.
func (b *Binding) mask(o *option) (text string, from Origin) {
	kept := b.lookup(o.flag.Name + "_file")
	switch {
	case o.flag.Value.String() != "":
		return masked, o.origin
	case kept != nil && kept.flag.Value.String() != "":
		return masked, Origin{Source: FromFile, Name: kept.flag.Value.String()}
	default:
		return "", o.origin
	}
}

// typed returns a value as JSON has it, from the text of a flag of that kind.
func typed(kind, text string) any {
	switch kind {
	case "bool", "uint32", "uint64":
		return json.RawMessage(text)
	case "duration":
		if d, err := time.ParseDuration(text); err == nil {
			return d
		}
	}
	return text
}

// View returns settings as a table: name, value, and where it came from.
func View(settings []Setting) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, s := range settings {
		fmt.Fprintf(w, "%s\t%s\t%s\n", s.Name, shown(s.Text), s.Origin)
	}
	_ = w.Flush() // a strings.Builder takes everything
	return b.String()
}

// shown is a text that keeps to its cell.
func shown(text string) string {
	switch {
	case text == "":
		return "''"
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Sprintf("%q", text)
	default:
		return text
	}
}

// MarshalJSON writes a setting with its origin: {"name", "value", "source", and
// "file" and "line", "variable" or "flag"}. Durations are given twice, as text and
// in milliseconds.
func (s Setting) MarshalJSON() ([]byte, error) {
	v := struct {
		Name     string `json:"name"`
		Value    any    `json:"value"`
		ValueMS  *int64 `json:"value_ms,omitempty"`
		Source   string `json:"source"`
		File     string `json:"file,omitempty"`
		Line     int    `json:"line,omitempty"`
		Variable string `json:"variable,omitempty"`
		Flag     string `json:"flag,omitempty"`
	}{Name: s.Name, Value: s.value, Source: s.Origin.Source.String(), Line: s.Origin.Line}
	switch s.Origin.Source {
	case FromFile:
		v.File = s.Origin.Name
	case FromEnvironment:
		v.Variable = s.Origin.Name
	case FromFlag:
		v.Flag = s.Origin.Name
	case FromDefault:
	}
	if d, ok := s.value.(time.Duration); ok {
		ms := d.Milliseconds()
		v.Value, v.ValueMS = d.String(), &ms
	}
	return json.Marshal(v)
}
