package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// A Binding ties the fields of a struct to flags.
type Binding struct {
	flags *pflag.FlagSet
	keys  []key
}

// A key is one setting: a field with what its tags say.
type key struct {
	flag  *pflag.Flag
	env   string
	group string
	enum  []string
}

// Bind sets the fields of the struct that settings points to to their defaults
// and makes a flag of each. It panics on a tag or a type that cannot be: the
// structs are part of the program.
//
// The flag set then takes hyphens for underscores, in whatever name.
func Bind(flags *pflag.FlagSet, settings any) *Binding {
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(strings.ReplaceAll(name, "-", "_"))
	})
	b := &Binding{flags: flags}
	v := reflect.ValueOf(settings).Elem()
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		k := key{flag: addFlag(flags, v.Field(i), tag), env: tag.Get("env"), group: tag.Get("group")}
		if enum := tag.Get("enum"); enum != "" {
			k.enum = strings.Split(enum, ",")
		}
		b.keys = append(b.keys, k)
	}
	return b
}

// addFlag makes the flag of a field and sets the field to its default.
func addFlag(flags *pflag.FlagSet, field reflect.Value, tag reflect.StructTag) *pflag.Flag {
	name, short, help := tag.Get("name"), tag.Get("short"), tag.Get("help")
	switch p := field.Addr().Interface().(type) {
	case *string:
		flags.StringVarP(p, name, short, "", help)
	case *bool:
		flags.BoolVarP(p, name, short, false, help)
	case *uint32:
		flags.Uint32VarP(p, name, short, 0, help)
	case *time.Duration:
		flags.DurationVarP(p, name, short, 0, help)
	case *Level:
		flags.VarP(p, name, short, help)
	default:
		panic(fmt.Sprintf("config: %s is a %s, and there are no flags of that type", name, field.Type()))
	}
	f := flags.Lookup(name)
	if text := tag.Get("default"); text != "" {
		if err := f.Value.Set(text); err != nil {
			panic(fmt.Sprintf("config: the default of %s: %v", name, err))
		}
		f.DefValue = f.Value.String()
	}
	return f
}

// Load reads, once the flags were parsed, the environment for everything that
// no flag has set, and checks what the settings allow. getenv returns "" for a
// variable that is not set. The error is one line and names the setting.
func (b *Binding) Load(getenv func(string) string) error {
	for _, k := range b.keys {
		if k.env == "" || k.flag.Changed {
			continue
		}
		text := getenv(k.env)
		if text == "" {
			continue
		}
		if err := k.flag.Value.Set(text); err != nil {
			return fmt.Errorf("setFromEnv(): error setting value of field %s: %w", camel(k.flag.Name), err)
		}
	}
	return b.check()
}

// check refuses words that an enumeration does not have.
func (b *Binding) check() error {
	for _, k := range b.keys {
		if k.enum != nil && !slices.Contains(k.enum, k.flag.Value.String()) {
			return fmt.Errorf("%s must be one of %s", k.flag.Name, strings.Join(k.enum, ", "))
		}
	}
	return nil
}

// camel writes the name of a flag as messages have always named settings:
// lock_gc_interval is LockGcInterval.
func camel(name string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(name, "_") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// Usage lists the flags, a line each, in alphabetical order.
func (b *Binding) Usage() string { return b.flags.FlagUsages() }

// GroupedUsage lists the flags below the headings of their groups, in the order
// in which the struct has these.
func (b *Binding) GroupedUsage() string {
	var groups []string
	sets := map[string]*pflag.FlagSet{}
	for _, k := range b.keys {
		if sets[k.group] == nil {
			groups = append(groups, k.group)
			sets[k.group] = pflag.NewFlagSet(k.group, pflag.ContinueOnError)
		}
		sets[k.group].AddFlag(k.flag)
	}
	parts := make([]string, 0, len(groups))
	for _, g := range groups {
		parts = append(parts, g+":\n"+sets[g].FlagUsages())
	}
	return strings.Join(parts, "\n")
}
