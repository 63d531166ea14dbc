package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"syscall"
	"text/template"

	"github.com/ldlm-io/ldlm/internal/document"
)

// A format is a value of -o: how something is shown.
type format struct {
	name     string // "" is what the command takes to be best
	template *template.Template
}

// Formats; goTemplate is followed by the template.
const (
	formatTable = "table"
	formatWide  = "wide"
	formatJSON  = "json"
	formatYAML  = "yaml"
	formatName  = "name"
	goTemplate  = "go-template="
)

func (f *format) String() string { return f.name }
func (f *format) Type() string   { return "format" }

func (f *format) Set(s string) error {
	switch s {
	case formatTable, formatWide, formatJSON, formatYAML, formatName:
		*f = format{name: s}
		return nil
	}
	text, ok := strings.CutPrefix(s, goTemplate)
	if !ok {
		return fmt.Errorf("want table, wide, json, yaml, name or go-template=TEMPLATE")
	}
	t, err := template.New("output").Parse(text)
	if err != nil {
		return err
	}
	*f = format{name: goTemplate, template: t}
	return nil
}

// A view is what a command shows, ready for every format.
type view struct {
	// doc is a document.
	doc any
	// names is what scripts want to go on with, one a line.
	names []string
	// lines returns it for people.
	lines func(wide, color bool) []string
}

// A printer writes views to stdout.
type printer struct {
	out    io.Writer
	format format
	// stream says that more views follow: each is then one line of JSON, or one
	// document of YAML.
	stream bool
	color  bool
	// terminal says that templates must not reach it with control characters.
	terminal bool
}

// print writes a view at once, so that readers get whole ones.
func (p *printer) print(v view) error {
	text, err := p.render(v)
	if err != nil {
		return err
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	_, err = p.out.Write(text)
	return writeError(err)
}

// writeError is an error of writing to stdout. Whoever read has had enough, as head has:
// where the system does not end the process for that, it ends itself as if it did.
func writeError(err error) error {
	if errors.Is(err, syscall.EPIPE) {
		return &exitError{code: exitSignal + int(syscall.SIGPIPE)}
	}
	return err
}

func (p *printer) render(v view) ([]byte, error) {
	switch p.format.name {
	case formatName:
		return joinLines(v.names, printable), nil
	case formatTable, formatWide:
		return joinLines(v.lines(p.format.name == formatWide, p.color), strings.Clone), nil
	}
	text, err := document.Append(nil, v.doc)
	if err != nil {
		return nil, err
	}
	switch {
	case p.format.name == goTemplate:
		text, err = executeTemplate(p.format.template, text)
		if p.terminal {
			text = escapeHidden(text)
		}
		return text, err
	case p.format.name == formatYAML:
		text, err = yamlOf(text)
		if p.stream {
			text = append([]byte("---\n"), text...)
		}
		return text, err
	case p.stream:
		return text, nil
	default:
		var b bytes.Buffer
		err = json.Indent(&b, text, "", jsonIndent)
		return b.Bytes(), err
	}
}

func joinLines(lines []string, shown func(string) string) []byte {
	var b []byte
	for _, l := range lines {
		b = append(b, shown(l)...)
		b = append(b, '\n')
	}
	return b
}

// executeTemplate fills a template with JSON: fields have the names that they
// have there.
func executeTemplate(t *template.Template, text []byte) ([]byte, error) {
	var data any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&data); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, withNumbers(data)); err != nil {
		return nil, fmt.Errorf("--output: %w", err)
	}
	return b.Bytes(), nil
}

// withNumbers makes numbers of JSON what templates can compare: int where they
// are whole.
func withNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = withNumbers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = withNumbers(v[i])
		}
	case json.Number:
		if n, err := v.Int64(); err == nil && math.MinInt <= n && n <= math.MaxInt {
			return int(n)
		}
		if n, err := v.Float64(); err == nil {
			return n
		}
	}
	return v
}
