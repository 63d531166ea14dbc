package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/ldlm-io/ldlm/internal/document"
)

// yamlOf writes JSON as YAML, with the fields in the same order.
func yamlOf(text []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	node, err := yamlNode(d)
	if err != nil {
		return nil, fmt.Errorf("cannot turn JSON into YAML: %w", err)
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(node), e.Close()); err != nil {
		return nil, fmt.Errorf("cannot write YAML: %w", err)
	}
	return escapeHidden(b.Bytes()), nil
}

// escapeHidden escapes what would do something to a terminal, except for what ends
// lines and columns. In YAML that is what YAML takes for printable, and all within
// double quotes.
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

// mergeKey is a key that readers of YAML put another map in place of, unless it is in
// quotes.
const mergeKey = "<<"

// yamlNode reads a value of JSON.
func yamlNode(d *json.Decoder) (*yaml.Node, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch v := token.(type) {
	case json.Delim:
		node := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		if v == '[' {
			node = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		}
		return node, yamlChildren(d, node)
	case json.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: v.String()}, nil
	case string:
		node := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v}
		if v == mergeKey || strings.ContainsFunc(v, document.Hidden) {
			node.Style = yaml.DoubleQuotedStyle
		}
		return node, nil
	default:
		node := &yaml.Node{}
		return node, node.Encode(v)
	}
}

// yamlChildren reads the keys and values of an object, or the values of an array.
func yamlChildren(d *json.Decoder, node *yaml.Node) error {
	for d.More() {
		child, err := yamlNode(d)
		if err != nil {
			return err
		}
		node.Content = append(node.Content, child)
	}
	_, err := d.Token()
	return err
}
