package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// A Binding ties the fields of a struct to flags, and knows where each value
// came from. It is for one goroutine.
type Binding struct {
	flags   *pflag.FlagSet
	options []*option
}

// An option is one setting: a field with what its tags say.
type option struct {
	flag   *pflag.Flag
	env    string
	group  string
	enum   []string
	secret bool
	since  string // "" if version 1 had it
	origin Origin
}

// Bind sets the fields of the struct that settings points to to their defaults
// and makes a flag of each. It panics on a tag or a type that cannot be: the
// structs are part of the program.
//
// The flag set then takes hyphens for underscores, in whatever name.
func Bind(flags *pflag.FlagSet, settings any) *Binding {
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(normal(name))
	})
	b := &Binding{flags: flags}
	v := reflect.ValueOf(settings).Elem()
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		o := &option{
			flag: addFlag(flags, v.Field(i), tag), env: tag.Get("env"), group: tag.Get("group"),
			secret: tag.Get("secret") != "", since: tag.Get("since"),
		}
		o.flag.Hidden = tag.Get("hidden") != ""
		if enum := tag.Get("enum"); enum != "" {
			o.enum = strings.Split(enum, ",")
		}
		b.options = append(b.options, o)
	}
	return b
}

// normal spells a name with underscores.
func normal(name string) string { return strings.ReplaceAll(name, "-", "_") }

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
	case *uint64:
		flags.Uint64VarP(p, name, short, 0, help)
	case *time.Duration:
		flags.DurationVarP(p, name, short, 0, help)
	case pflag.Value:
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

// inFile reports whether a configuration file may have the option: everything
// that has a variable, but the file itself.
func (o *option) inFile() bool { return o.env != "" && !o.isFile() }

// isFile reports whether the option says which file there is to read.
func (o *option) isFile() bool {
	_, is := o.flag.Value.(*File)
	return is
}

// lookup returns the option of a name in normal spelling, nil if there is none.
func (b *Binding) lookup(name string) *option {
	for _, o := range b.options {
		if o.flag.Name == name {
			return o
		}
	}
	return nil
}

// Reload loads settings anew, as Load did for those of this binding: under the
// same flags, with what the file and the environment have now. The settings
// must point to a struct of the same type. This binding stays what it was.
func (b *Binding) Reload(settings any, getenv func(string) string) (*Binding, error) {
	again := Bind(pflag.NewFlagSet("", pflag.ContinueOnError), settings)
	for o, text := range b.flagged() {
		if err := again.flags.Set(o.flag.Name, text); err != nil {
			panic(fmt.Sprintf("config: %s does not take its own text %q", o.flag.Name, text))
		}
	}
	return again, again.Load(getenv)
}

// Changed returns the names of the settings that have other values in another
// binding of the same struct.
func (b *Binding) Changed(other *Binding) []string {
	var names []string
	for _, o := range b.options {
		if p := other.lookup(o.flag.Name); p != nil && p.flag.Value.String() != o.flag.Value.String() {
			names = append(names, o.flag.Name)
		}
	}
	return names
}
