package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// contexts is the file of named servers. It has no passwords, only where they
// are; the file is its owner's alone all the same.
type contexts struct {
	// Current is the context that is used if none is named; may be empty.
	Current  string                `yaml:"current,omitempty"`
	Contexts map[string]connection `yaml:"contexts"`
}

// contextsFile is where contexts are kept; "" if there is no such place.
func contextsFile(getenv func(string) string) string {
	if dir := getenv("XDG_CONFIG_HOME"); dir != "" {
		return filepath.Join(dir, "ldlm", "contexts.yaml")
	}
	if dir := getenv("APPDATA"); dir != "" && runtime.GOOS == "windows" {
		return filepath.Join(dir, "ldlm", "contexts.yaml")
	}
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, ".config", "ldlm", "contexts.yaml")
	}
	return ""
}

// readContexts reads the file; that there is none is like an empty one.
func readContexts(path string) (*contexts, error) {
	all := &contexts{Contexts: map[string]connection{}}
	text, err := os.ReadFile(path)
	if path == "" || errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the file of contexts: %w", err)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(all); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %s\nMend it, or remove it and begin anew: ldlm context add", path, yamlText(err))
	}
	if all.Contexts == nil {
		all.Contexts = map[string]connection{}
	}
	return all, nil
}

// yamlText words an error of the YAML library in one line, without the names of
// Go's types.
func yamlText(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = strings.TrimPrefix(text, "unmarshal errors:\n")
	for _, t := range []string{"cli.contexts", "cli.connection"} {
		text = strings.ReplaceAll(text, " in type "+t, "")
		text = strings.ReplaceAll(text, t, "a context")
	}
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "; ")
}

// makeContextsFolder makes the folder that the file is in.
func makeContextsFolder(path string) error {
	const forOwner = 0o700
	if err := os.MkdirAll(filepath.Dir(path), forOwner); err != nil {
		return fmt.Errorf("cannot make the folder of contexts: %w", err)
	}
	return nil
}

// write replaces the file, in a folder that is there: whoever reads it meanwhile gets the old one or the new
// one, whole.
func (all *contexts) write(path string) (err error) {
	if path == "" {
		return errors.New("there is no place for the file of contexts: set $HOME or $XDG_CONFIG_HOME")
	}
	var text bytes.Buffer
	e := yaml.NewEncoder(&text)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(all), e.Close()); err != nil {
		return fmt.Errorf("cannot write contexts as YAML: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".contexts-*") // for the owner alone
	if err != nil {
		return fmt.Errorf("cannot write the file of contexts: %w", err)
	}
	_, err = f.Write(text.Bytes())
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("cannot write the file of contexts: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// names returns the names in order.
func (all *contexts) names() []string { return slices.Sorted(maps.Keys(all.Contexts)) }

// find returns a context.
func (all *contexts) find(name string) (connection, error) {
	c, ok := all.Contexts[name]
	switch {
	case ok:
		return c, nil
	case len(all.Contexts) == 0:
		return c, fmt.Errorf("there is no context %s, and no other; make one: ldlm context add %s --address HOST:PORT", quoteName(name), shellWord(name))
	default:
		return c, fmt.Errorf("there is no context %s; there are: %s", quoteName(name), printable(strings.Join(all.names(), ", ")))
	}
}
