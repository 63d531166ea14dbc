package cli

import (
	"bytes"
	"encoding/json"

	"github.com/ldlm-io/ldlm/internal/document"
)

// A listForm writes a list in one of the formats. What comes out of it is what the view
// of the whole list prints.
type listForm interface {
	// keep returns what is kept of an element until it is printed.
	keep(e *element) (keptElement, error)
	// begin returns what comes before the elements. Some of them are there already.
	begin(first []keptElement) ([]byte, error)
	// element appends an element, before which there were so many.
	element(b []byte, e *keptElement, before int) ([]byte, error)
	// end returns what comes after so many elements.
	end(count int) string
}

// keepDocument keeps an element as JSON.
func keepDocument(e *element) (keptElement, error) {
	text, err := document.Append(nil, e.doc)
	return keptElement{text: text}, err
}

// A nameForm writes the names.
type nameForm struct{}

func (nameForm) keep(*element) (keptElement, error)  { return keptElement{}, nil }
func (nameForm) begin([]keptElement) ([]byte, error) { return nil, nil }
func (nameForm) end(int) string                      { return "" }
func (nameForm) element(b []byte, e *keptElement, _ int) ([]byte, error) {
	return append(append(b, printable(e.name)...), '\n'), nil
}

// A tableForm writes rows. Columns are as wide as the first ones need; what is wider in a
// later row pushes the rest of it to the right.
type tableForm struct {
	heads       func(wide bool) []string
	wide, color bool
	widths      []int
}

func (f *tableForm) keep(e *element) (keptElement, error) {
	return keptElement{row: e.row(f.wide)}, nil
}

func (f *tableForm) begin(first []keptElement) ([]byte, error) {
	t := &table{}
	t.addTexts(heading, f.heads(f.wide)...)
	for i := range first {
		t.add(first[i].row...)
	}
	f.widths = t.widths()
	return []byte(rowLine(t.rows[0], f.widths, f.color) + "\n"), nil
}

func (f *tableForm) element(b []byte, e *keptElement, _ int) ([]byte, error) {
	return append(append(b, rowLine(e.row, f.widths, f.color)...), '\n'), nil
}

func (f *tableForm) end(int) string { return "" }

// A jsonForm writes JSON for people and programs.
type jsonForm struct {
	field string
	time  document.Time
}

// jsonIndent is the indentation of JSON.
const jsonIndent = "  "

func (f *jsonForm) keep(e *element) (keptElement, error) { return keepDocument(e) }

func (f *jsonForm) begin([]keptElement) ([]byte, error) {
	b, err := document.Append([]byte("{\n"+jsonIndent+`"time": `), f.time)
	return append(b, ",\n"+jsonIndent+`"`+f.field+`": [`...), err
}

func (f *jsonForm) element(b []byte, e *keptElement, before int) ([]byte, error) {
	if before > 0 {
		b = append(b, ',')
	}
	text := bytes.NewBuffer(append(b, "\n"+jsonIndent+jsonIndent...))
	err := json.Indent(text, e.text, jsonIndent+jsonIndent, jsonIndent)
	return text.Bytes(), err
}

func (f *jsonForm) end(count int) string {
	if count == 0 {
		return "]\n}\n"
	}
	return "\n" + jsonIndent + "]\n}\n"
}

// A jsonLineForm writes JSON without line breaks.
type jsonLineForm struct{ jsonForm }

func (f *jsonLineForm) begin([]keptElement) ([]byte, error) {
	b, err := document.Append([]byte(`{"time":`), f.time)
	return append(b, `,"`+f.field+`":[`...), err
}

func (f *jsonLineForm) element(b []byte, e *keptElement, before int) ([]byte, error) {
	if before > 0 {
		b = append(b, ',')
	}
	return append(b, e.text...), nil
}

func (f *jsonLineForm) end(int) string { return "]}" }

// A yamlForm writes YAML.
type yamlForm struct {
	field string
	time  document.Time
}

func (f *yamlForm) keep(e *element) (keptElement, error) { return keepDocument(e) }

func (f *yamlForm) begin([]keptElement) ([]byte, error) {
	text, err := document.Append([]byte(`{"time":`), f.time)
	if err == nil {
		text, err = yamlOf(append(text, '}'))
	}
	return append(text, f.field+":"...), err
}

func (f *yamlForm) element(b []byte, e *keptElement, before int) ([]byte, error) {
	if before == 0 {
		b = append(b, '\n')
	}
	return appendYAMLElement(b, e.text), nil
}

func (f *yamlForm) end(count int) string {
	if count == 0 {
		return " []\n"
	}
	return ""
}
