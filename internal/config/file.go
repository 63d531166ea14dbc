package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/ldlm-io/ldlm/internal/shortfile"
)

// File is the path of a configuration file.
type File string

// Set makes a File a flag's value.
func (f *File) Set(text string) error {
	*f = File(text)
	return nil
}

// String returns the path.
func (f *File) String() string { return string(*f) }

// Type is what help calls the value.
func (f *File) Type() string { return "configFile" }

// maxDepth is how deep the keys of a file may be nested; no setting needs more
// than its name has words.
const maxDepth = 8

// What is said of values that are none.
const (
	nothing = "an empty group of keys is not a value"
	list    = "a list is not a value"
)

// An entry is one key of a file with its value.
type entry struct {
	name  string // in normal spelling; nested keys joined with _
	text  string
	line  int    // counted from 1
	none  bool   // null, which is as if the key were not there
	wrong string // why the value is no text at all
}

// readFile reads a configuration file. Errors begin with the words that version 1
// had for them.
func readFile(path string) ([]entry, error) {
	var parse func([]byte) ([]entry, error)
	switch strings.ToLower(filepath.Ext(path)) {
	case ".yaml", ".yml":
		parse = parseYAML
	case ".json":
		parse = parseJSON
	default:
		return nil, fmt.Errorf("unsupported config file type: %s. Supported file types are .json, .yml, .yaml", path)
	}
	data, err := readBounded(path)
	if err != nil {
		// The blank at the end is part of what version 1 said.
		return nil, fmt.Errorf("error reading config file %s: %w ", path, err)
	}
	entries, err := parse(data)
	if at := (*placeError)(nil); errors.As(err, &at) {
		return nil, fmt.Errorf("error parsing config file: %w\n%s:%d:%d", err, path, at.line, at.column)
	}
	if err != nil {
		return nil, fmt.Errorf("error parsing config file: %w\n%s", err, path)
	}
	return entries, nil
}

// readBounded reads a file that is not larger than it may be, and waits for none.
func readBounded(path string) ([]byte, error) { return shortfile.Read(path) }

// A placeError says where in a file something is wrong.
type placeError struct {
	err          error
	line, column int // counted from 1
}

func (e *placeError) Error() string { return e.err.Error() }
func (e *placeError) Unwrap() error { return e.err }

// placeAt is an error before the byte at an offset.
func placeAt(data []byte, offset int64, err error) error {
	before := data[:min(max(offset, 0), int64(len(data)))]
	return &placeError{err, 1 + bytes.Count(before, []byte{'\n'}), max(len(before)-bytes.LastIndexByte(before, '\n')-1, 1)}
}

// joined is the name of a nested key.
func joined(prefix, key string) string {
	if prefix == "" {
		return normal(key)
	}
	return prefix + "_" + normal(key)
}

// parseYAML reads one document of YAML.
func parseYAML(data []byte) ([]entry, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil // nothing but comments
	} else if err != nil {
		return nil, err
	}
	if err := d.Decode(&more); err == nil {
		return nil, fmt.Errorf("line %d: a second document begins; a configuration is one", more.Line)
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	top := doc.Content[0]
	switch {
	case top.Kind == yaml.ScalarNode && top.ShortTag() == "!!null":
		return nil, nil
	case top.Kind != yaml.MappingNode:
		return nil, &placeError{errors.New("a configuration is a list of keys with values"), top.Line, top.Column}
	}
	return appendYAML(nil, top, "", 1)
}

// appendYAML appends the entries of a mapping.
func appendYAML(entries []entry, m *yaml.Node, prefix string, depth int) ([]entry, error) {
	if depth > maxDepth {
		return nil, &placeError{errors.New("keys are nested too deeply"), m.Line, m.Column}
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		key, value := m.Content[i], m.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			return nil, &placeError{errors.New("a key must be a name"), key.Line, key.Column}
		}
		e := entry{name: joined(prefix, key.Value), line: key.Line}
		if value.Kind == yaml.AliasNode && value.Alias.Kind == yaml.ScalarNode {
			value = value.Alias
		}
		switch value.Kind {
		case yaml.MappingNode:
			if len(value.Content) == 0 {
				e.wrong = nothing
				break
			}
			var err error
			if entries, err = appendYAML(entries, value, e.name, depth+1); err != nil {
				return nil, err
			}
			continue
		case yaml.ScalarNode:
			e.text, e.none = value.Value, value.ShortTag() == "!!null"
		case yaml.SequenceNode:
			e.wrong = list
		default:
			e.wrong = "an alias of something else than a value"
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// parseJSON reads one object of JSON.
func parseJSON(data []byte) ([]entry, error) {
	if !utf8.Valid(data) {
		return nil, placeAt(data, firstInvalid(data), errors.New("not UTF-8"))
	}
	var object json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		offset := int64(len(data))
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
			offset = syntax.Offset
		}
		return nil, placeAt(data, offset, err)
	}
	j := &jsonFile{data: data, tokens: json.NewDecoder(bytes.NewReader(data))}
	j.tokens.UseNumber()
	if first, _ := j.tokens.Token(); first != json.Delim('{') {
		return nil, j.fail("a configuration is an object of keys with values")
	}
	err := j.readObject("", 1)
	return j.entries, err
}

// firstInvalid returns the offset of the first byte that is not UTF-8.
func firstInvalid(data []byte) int64 {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n <= 1 {
			return int64(i) + 1
		}
		i += n
	}
	return int64(len(data))
}

// jsonFile reads tokens of what is known to be JSON.
type jsonFile struct {
	data    []byte
	tokens  *json.Decoder
	entries []entry

	lines   int   // ends of lines before
	counted int64 // this offset
}

func (j *jsonFile) fail(text string) error {
	return placeAt(j.data, j.tokens.InputOffset(), errors.New(text))
}

// line is where the decoder is, counted from 1.
func (j *jsonFile) line() int {
	now := j.tokens.InputOffset()
	j.lines += bytes.Count(j.data[j.counted:now], []byte{'\n'})
	j.counted = now
	return 1 + j.lines
}

// readObject reads the entries of an object whose beginning was read.
func (j *jsonFile) readObject(prefix string, depth int) error {
	if depth > maxDepth {
		return j.fail("keys are nested too deeply")
	}
	for j.tokens.More() {
		key, err := j.tokens.Token()
		if err != nil {
			return err
		}
		e := entry{name: joined(prefix, key.(string)), line: j.line()} // a key of valid JSON is a string
		var value json.RawMessage
		if j.isObject() {
			if err := j.readNested(&e, depth+1); err != nil {
				return err
			}
			continue
		}
		if err := j.tokens.Decode(&value); err != nil {
			return err
		}
		e.setJSON(value)
		j.entries = append(j.entries, e)
	}
	_, err := j.tokens.Token() // the end
	return err
}

// readNested reads the object that is the value of a key.
func (j *jsonFile) readNested(e *entry, depth int) error {
	if _, err := j.tokens.Token(); err != nil {
		return err
	}
	if !j.tokens.More() {
		e.wrong = nothing
		j.entries = append(j.entries, *e)
	}
	return j.readObject(e.name, depth)
}

// isObject reports whether the value that comes next is an object.
func (j *jsonFile) isObject() bool {
	rest := bytes.TrimLeft(j.data[j.tokens.InputOffset():], " \t\r\n:")
	return len(rest) > 0 && rest[0] == '{'
}

// setJSON takes a value by its text.
func (e *entry) setJSON(value json.RawMessage) {
	switch value[0] {
	case '[':
		e.wrong = list
	case '"':
		_ = json.Unmarshal(value, &e.text) // it is a valid string
	case 'n':
		e.none = true
	default:
		e.text = string(value)
	}
}
