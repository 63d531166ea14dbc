package cli

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/ldlm-io/ldlm/internal/document"
)

// What a document says in JSON it says in YAML, whatever others wrote into it.
func FuzzYAML(f *testing.F) {
	for _, text := range []string{
		"", "true", "null", "~", "1", "1e3", "0x10", "2026-11-22", "- a", "a: b", "#x", " lead", "trail ", "two\nlines\n", "'", `"`, `\u0041`,
		"\t", "\x00", "\x1b[31m", "\u0085", "\u202e", "\u2028", "\ufeff", "é漢🔒", "|", ">", "%", "@", "`", "!!int 3", "&a", "*a", "{", "[", "? ", "=",
	} {
		f.Add(text, int64(len(text)))
	}
	f.Fuzz(func(t *testing.T, text string, number int64) {
		text = strings.ToValidUTF8(text, "?")
		doc := map[string]any{
			"text": text, "list": []any{text, number, true, nil, map[string]any{}, []any{}}, text: 1.5,
			"deep": []any{[]any{[]any{text}, number}, map[string]any{text: map[string]any{text: []any{text}}, "x": []any{}}},
		}
		asJSON, err := document.Append(nil, doc)
		if err != nil {
			t.Fatal(err)
		}
		asYAML, err := yamlOf(asJSON)
		if err != nil {
			t.Fatal(err)
		}
		if i := strings.IndexFunc(string(asYAML), func(r rune) bool { return r != '\n' && document.Hidden(r) }); i >= 0 {
			t.Errorf("a control character is left in %q", asYAML)
		}
		var want, got any
		if err := json.Unmarshal(asJSON, &want); err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(asYAML, &got); err != nil {
			t.Fatalf("%v in\n%s", err, asYAML)
		}
		if got = likeJSON(got); !reflect.DeepEqual(got, want) {
			t.Errorf("%q is read as %#v\nwant %#v", asYAML, got, want)
		}
	})
}

// likeJSON makes all numbers what they are in JSON.
func likeJSON(v any) any {
	switch v := v.(type) {
	case int:
		return float64(v)
	case int64:
		return float64(v)
	case uint64:
		return float64(v)
	case []any:
		for i := range v {
			v[i] = likeJSON(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = likeJSON(v[k])
		}
	}
	return v
}

func TestYAMLOfBrokenJSON(t *testing.T) {
	for _, text := range []string{"", "{", `{"a":`, "[1,", `{"a":1`, "nope"} {
		if got, err := yamlOf([]byte(text)); err == nil {
			t.Errorf("%q became %q", text, got)
		}
	}
}
