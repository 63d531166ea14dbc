package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Format is a way to write settings down.
type Format string

// Formats of templates.
const (
	YAML        Format = "yaml"
	JSON        Format = "json"
	Environment Format = "env"
	Markdown    Format = "markdown" // the reference, which is for people
)

// Formats returns all formats.
func Formats() []Format { return []Format{YAML, JSON, Environment, Markdown} }

// Template writes the settings in force down so that they can be read again:
// whole, secrets included. args are the arguments of the program, which the head
// shows. What version 1 did not have comes last.
func (b *Binding) Template(f Format, args []string) (string, error) {
	switch f {
	case YAML:
		return b.yamlTemplate(args), nil
	case JSON:
		return b.jsonTemplate(), nil
	case Environment:
		return b.envTemplate(args), nil
	case Markdown:
		return b.Reference(), nil
	default:
		return "", fmt.Errorf("there is no format %q; there are %v", string(f), Formats())
	}
}

// head says where a template comes from.
func head(args []string) string {
	shown := make([]string, 0, len(args))
	for _, a := range args {
		shown = append(shown, oneLine(a))
	}
	return fmt.Sprintf("# Generated with\n# %v\n\n", shown)
}

// oneLine is a text that does not end a comment.
func oneLine(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return text
	}
	return strconv.Quote(text)
}

func (b *Binding) yamlTemplate(args []string) string {
	var out strings.Builder
	out.WriteString(head(args))
	for _, o := range b.fileOptions() {
		fmt.Fprintf(&out, "# %s\n%s: %s\n\n", o.flag.Usage, o.flag.Name, o.yamlValue())
	}
	return out.String()
}

// fileOptions are the options that a file may have, in the order of templates.
func (b *Binding) fileOptions() []*option {
	var all []*option
	for _, o := range b.options {
		if o.inFile() {
			all = append(all, o)
		}
	}
	return all
}

// yamlValue is the value in YAML, in quotes where it needs them.
func (o *option) yamlValue() string {
	text := o.flag.Value.String()
	if kind := o.flag.Value.Type(); kind != "string" {
		return text
	}
	if strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.QuoteToASCII(text) // YAML has all its escapes
	}
	value, err := yaml.Marshal(text)
	if err != nil {
		panic(fmt.Sprintf("config: a string that YAML cannot have: %v", err))
	}
	return strings.TrimSuffix(string(value), "\n")
}

func jsonString(text string) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) //nolint:errchkjson // there is no text that it does not take
	return bytes.TrimSuffix(out.Bytes(), []byte{'\n'})
}

func (b *Binding) jsonTemplate() string {
	lines := make([]string, 0, len(b.options))
	for _, o := range b.fileOptions() {
		text := o.flag.Value.String()
		value := []byte(text)
		if kind := o.flag.Value.Type(); kind != "bool" && kind != "uint32" && kind != "uint64" {
			value = jsonString(text)
		}
		lines = append(lines, fmt.Sprintf("  %s: %s", jsonString(o.flag.Name), value))
	}
	return "{\n" + strings.Join(lines, ",\n") + "\n}\n"
}

func (b *Binding) envTemplate(args []string) string {
	options := slices.DeleteFunc(slices.Clone(b.options), func(o *option) bool { return o.env == "" })
	slices.SortStableFunc(options, func(x, y *option) int {
		if x.since != y.since {
			return strings.Compare(x.since, y.since)
		}
		return strings.Compare(x.flag.Name, y.flag.Name)
	})
	var out strings.Builder
	out.WriteString(head(args))
	for _, o := range options {
		text := o.flag.Value.String()
		fmt.Fprintf(&out, "# %s\n", o.flag.Usage)
		if text == "" && o.flag.DefValue != "" {
			out.WriteString("# An empty variable counts as none: only a flag or a file can say that there is no value.\n")
		}
		fmt.Fprintf(&out, "%s=\"%s\"\n\n", o.env, envQuoter.Replace(text))
	}
	return out.String()
}

// envQuoter escapes what has a meaning between double quotes, for shells and for
// systemd.
var envQuoter = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "`", "\\`")
