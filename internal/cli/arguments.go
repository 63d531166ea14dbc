package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// arguments returns a check of how many arguments a command gets: the first of
// names must be there.
func arguments(needed int, names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < needed:
			return misused(c, fmt.Errorf("%s is missing", strings.Join(names[len(args):needed], " and ")))
		case len(args) > len(names):
			return misused(c, fmt.Errorf("takes %s and no more, but was given %q too", strings.Join(names, " "), args[len(names)]))
		case needed > 0 && args[0] == "":
			return misused(c, fmt.Errorf("%s is empty", names[0]))
		default:
			return nil
		}
	}
}

// argument returns an argument, or "" if it was not given.
func argument(args []string, i int) string {
	if i < len(args) {
		return args[i]
	}
	return ""
}

// choiceValue is a flag that takes one of some words; the first is the default.
func choiceValue(s *string, words ...string) pflag.Value {
	*s = words[0]
	return &choice{s, words}
}

type choice struct {
	chosen *string
	words  []string
}

func (c *choice) String() string { return *c.chosen }
func (c *choice) Type() string   { return "string" }

func (c *choice) Set(s string) error {
	if !slices.Contains(c.words, s) {
		last := len(c.words) - 1
		return errors.New("want " + strings.Join(c.words[:last], ", ") + " or " + c.words[last])
	}
	*c.chosen = s
	return nil
}
