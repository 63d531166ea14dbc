package archive

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode"

	"github.com/ldlm-io/ldlm/internal/document"
	"github.com/ldlm-io/ldlm/internal/journal/raftlog"
	"github.com/ldlm-io/ldlm/internal/lock"
)

func identityPart(cluster, member string, format int) Part {
	d := document.DumpedIdentity{Part: "identity", Cluster: cluster, Member: member, Format: format}
	return Part{d, func() string { return fmt.Sprintf("cluster %s, member %q, format %d", cluster, member, format) }}
}

func entryPart(e *raftlog.Entry, commands []lock.Command, saved bool) Part {
	d := document.DumpedEntry{
		Part: "entry", Entry: document.NumberOf(e.Index), Term: document.NumberOf(e.Term), Kind: e.Kind, InSnapshot: saved,
		Commands: []document.Command{},
	}
	head := fmt.Sprintf("entry %d term %d %s", e.Index, e.Term, e.Kind)
	if e.Kind == batchesKind {
		d.StampTerm, d.ElapsedUS = document.NumberOf(e.StampTerm), e.Elapsed.Microseconds()
		head += ", " + e.Elapsed.String() + " passed"
		if e.StampTerm != e.Term {
			head += fmt.Sprintf(", void: stamped in term %d", e.StampTerm)
		}
	}
	if saved {
		head += ", in the snapshot"
	}
	for _, c := range commands {
		d.Commands = append(d.Commands, commandOf(c))
	}
	return Part{d, func() string {
		var b strings.Builder
		b.WriteString(head)
		for i := range d.Commands {
			b.WriteString("\n  " + wordsOf(&d.Commands[i]))
		}
		return b.String()
	}}
}

// commandOf lists what a command says. It goes by types, so that a key, or the
// proof of a client, is never told whole, wherever a command has one.
func commandOf(c lock.Command) document.Command {
	v := reflect.ValueOf(c).Elem()
	d := document.Command{Command: snake(v.Type().Name())}
	fieldsOf(v, &d.Fields)
	return d
}

// fieldsOf lists the fields of a struct that say something, embedded ones in their
// place.
func fieldsOf(v reflect.Value, into *document.Fields) {
	t := v.Type()
	for i := range t.NumField() {
		f := v.Field(i)
		switch {
		case f.IsZero():
		case t.Field(i).Anonymous:
			fieldsOf(f, into)
		default:
			if value, ok := valueOf(f); ok {
				*into = append(*into, document.Field{Name: snake(t.Field(i).Name), Value: value})
			}
		}
	}
}

// valueOf returns what is told of a value; false if nothing is.
func valueOf(v reflect.Value) (any, bool) {
	switch x := v.Interface().(type) {
	case lock.SecretHash, *lock.SecretHash:
		return nil, false
	case lock.Key:
		return x.Short(), true
	case lock.Duration:
		if x == lock.Forever {
			return "forever", true
		}
		return x.String(), true
	case lock.Mode:
		return [...]string{lock.Exclusive: document.Exclusive, lock.Shared: document.Shared}[x], true
	case lock.OnEnd:
		return [...]string{
			lock.OnEndKeep: "keep", lock.OnEndClose: "close", lock.OnEndAlways: "always", lock.OnEndDisown: "disown",
		}[x], true
	case []byte:
		return string(x), true
	case lock.Label:
		return x.Key + "=" + x.Value, true
	}
	switch v.Kind() {
	case reflect.Pointer:
		return valueOf(v.Elem())
	case reflect.Struct:
		var fields document.Fields
		fieldsOf(v, &fields)
		return fields, true
	case reflect.Slice:
		var all []any
		for i := range v.Len() {
			if value, ok := valueOf(v.Index(i)); ok {
				all = append(all, value)
			}
		}
		return all, true
	case reflect.Uint64, reflect.Uint32, reflect.Uint8:
		return document.Number(strconv.FormatUint(v.Uint(), 10)), true
	case reflect.Int, reflect.Int64:
		return v.Int(), true
	case reflect.String:
		return v.String(), true
	default:
		return v.Interface(), true
	}
}

// snake turns a name of Go into one of documents.
func snake(name string) string {
	var b strings.Builder
	letters := []rune(name)
	for i, r := range letters {
		upper := unicode.IsUpper(r)
		if upper && i > 0 && (!unicode.IsUpper(letters[i-1]) || i+1 < len(letters) && unicode.IsLower(letters[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// wordsOf is a command as a line.
func wordsOf(c *document.Command) string {
	var b strings.Builder
	b.WriteString(c.Command)
	appendFields(&b, c.Fields, " ")
	return b.String()
}

func appendFields(b *strings.Builder, fields document.Fields, before string) {
	for _, f := range fields {
		b.WriteString(before + f.Name + "=")
		appendValue(b, f.Value)
		before = " "
	}
}

func appendValue(b *strings.Builder, v any) {
	switch v := v.(type) {
	case document.Fields:
		b.WriteByte('{')
		appendFields(b, v, "")
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, x := range v {
			if i > 0 {
				b.WriteByte(' ')
			}
			appendValue(b, x)
		}
		b.WriteByte(']')
	case string:
		b.WriteString(strconv.Quote(v))
	default:
		fmt.Fprint(b, v)
	}
}

func lines(text string) []string { return strings.Split(strings.TrimSuffix(text, "\n"), "\n") }

// indented puts a text under a headline.
func indented(text string) string { return "  " + strings.Join(lines(text), "\n  ") }
