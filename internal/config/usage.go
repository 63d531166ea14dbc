package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// Usage lists the flags, a line each, in alphabetical order.
func (b *Binding) Usage() string { return b.flags.FlagUsages() }

// GroupedUsage lists the flags below the headings of their groups, in the order
// in which the struct has these.
func (b *Binding) GroupedUsage() string {
	var groups []string
	sets := map[string]*pflag.FlagSet{}
	for _, o := range b.options {
		if sets[o.group] == nil {
			groups = append(groups, o.group)
			sets[o.group] = pflag.NewFlagSet(o.group, pflag.ContinueOnError)
		}
		sets[o.group].AddFlag(o.flag)
	}
	parts := make([]string, 0, len(groups))
	for _, g := range groups {
		parts = append(parts, g+":\n"+sets[g].FlagUsages())
	}
	return strings.Join(parts, "\n")
}

// Explain adds a line that helps to an error of parsing flags, if it has one to
// say. The first line stays what it was.
func (b *Binding) Explain(err error) error {
	unknown, invalid := (*pflag.NotExistError)(nil), (*pflag.InvalidValueError)(nil)
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "":
		var names []string
		b.flags.VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				names = append(names, f.Name)
			}
		})
		if near := Nearest(normal(unknown.GetSpecifiedName()), names); near != "" {
			return fmt.Errorf("%w\nDid you mean --%s?", err, near)
		}
	case errors.As(err, &invalid):
		if hint := hintOf(invalid.GetFlag(), invalid.GetValue()); hint != "" {
			return fmt.Errorf("%w\n%s", err, hint)
		}
	}
	return err
}
