package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Load reads, once the flags were parsed, the configuration file and the
// environment for everything that no flag has set, and checks what the settings
// allow. getenv returns "" for a variable that is not set. The first line of the
// error names the setting; what follows says where it was set, and lists what
// else is wrong with the file.
//
// Values that a stronger source overrides are checked too.
func (b *Binding) Load(getenv func(string) string) error {
	flagged := b.flagged()
	if path := b.configFile(getenv); path != "" {
		if err := b.loadFile(path); err != nil {
			return err
		}
	}
	if err := b.loadEnvironment(getenv); err != nil {
		return err
	}
	for o, text := range flagged {
		if err := o.flag.Value.Set(text); err != nil {
			panic(fmt.Sprintf("config: %s does not take its own text %q", o.flag.Name, text))
		}
		o.origin = Origin{Source: FromFlag, Name: "--" + o.flag.Name}
	}
	return b.check()
}

// LoadFile reads a configuration file alone, as Load does.
func (b *Binding) LoadFile(path string) error {
	if err := b.loadFile(path); err != nil {
		return err
	}
	return b.check()
}

// flagged returns what the flags have set, which wins in the end.
func (b *Binding) flagged() map[*option]string {
	set := map[*option]string{}
	for _, o := range b.options {
		if o.flag.Changed {
			set[o] = o.flag.Value.String()
		}
	}
	return set
}

// configFile returns the path of the file to read, "" if there is none.
func (b *Binding) configFile(getenv func(string) string) string {
	for _, o := range b.options {
		switch {
		case !o.isFile():
		case o.flag.Changed:
			return o.flag.Value.String()
		default:
			return getenv(o.env)
		}
	}
	return ""
}

// loadFile sets what the file says. All that is wrong with it is one error.
func (b *Binding) loadFile(path string) error {
	entries, err := readFile(path)
	if err != nil {
		return err
	}
	var problems []error
	lines := map[string]int{}
	for _, e := range entries {
		at := Origin{Source: FromFile, Name: path, Line: e.line}
		switch first := lines[e.name]; {
		case first != 0:
			problems = append(problems, fmt.Errorf("error parsing config file: line %d: %s is already set in line %d\n%s:%d: "+
				"leave one of them out", e.line, e.name, first, path, e.line))
		default:
			lines[e.name] = e.line
			problems = append(problems, b.setEntry(&e, at))
		}
	}
	return joinProblems(problems)
}

// maxProblems is how many of a file's problems are listed.
const maxProblems = 20

func joinProblems(problems []error) error {
	problems = slices.DeleteFunc(problems, func(err error) bool { return err == nil })
	if more := len(problems) - maxProblems; more > 0 {
		problems = append(problems[:maxProblems], fmt.Errorf("and %d more", more))
	}
	return errors.Join(problems...)
}

// setEntry sets what one entry of a file says.
func (b *Binding) setEntry(e *entry, at Origin) error {
	o := b.lookup(e.name)
	switch {
	case o == nil || !o.inFile():
		return b.unknownField(e, at)
	case e.wrong != "":
		return fmt.Errorf("unable to set value for %s: %s\n%s:%d: %s takes one value", e.name, e.wrong, at.Name, at.Line, e.name)
	case e.none:
		return nil
	}
	if err := o.flag.Value.Set(e.text); err != nil {
		more := hintOf(o.flag, e.text)
		if more == "" {
			more = "it takes a " + o.flag.Value.Type()
		}
		return fmt.Errorf("unable to set value for %s: %w\n%s:%d: %s", e.name, err, at.Name, at.Line, more)
	}
	o.origin = at
	return nil
}

// unknownField says that there is no such setting, and which one was meant.
func (b *Binding) unknownField(e *entry, at Origin) error {
	more := "see the reference of the configuration for what there is"
	var names []string
	for _, o := range b.options {
		if o.inFile() {
			names = append(names, o.flag.Name)
		}
	}
	switch near := Nearest(e.name, names); {
	case b.lookup(e.name) != nil:
		more = "only a flag or a variable says this"
	case near != "":
		more = "did you mean " + near + "?"
	}
	return fmt.Errorf("unknown configuration file field: %s\n%s:%d: %s", shown(e.name), at.Name, at.Line, more)
}

// loadEnvironment sets what variables say. An empty one counts as none.
func (b *Binding) loadEnvironment(getenv func(string) string) error {
	for _, o := range b.options {
		if o.env == "" {
			continue
		}
		text := getenv(o.env)
		if text == "" {
			continue
		}
		if err := o.flag.Value.Set(text); err != nil {
			return fmt.Errorf("setFromEnv(): error setting value of field %s: %w\n%s", camel(o.flag.Name), err, o.explain(text))
		}
		o.origin = Origin{Source: FromEnvironment, Name: o.env}
	}
	return nil
}

// explain says which variable has a text that the option refuses.
func (o *option) explain(text string) string {
	if hint := hintOf(o.flag, text); hint != "" {
		return o.env + ": " + hint
	}
	return "The variable is " + o.env + "."
}

// check refuses words that an enumeration does not have.
func (b *Binding) check() error {
	for _, o := range b.options {
		if o.enum == nil || slices.Contains(o.enum, o.flag.Value.String()) {
			continue
		}
		err := fmt.Errorf("%s must be one of %s", o.flag.Name, strings.Join(o.enum, ", "))
		if o.origin.Source != FromFlag {
			err = fmt.Errorf("%w\nit is %s, from %s", err, shown(o.flag.Value.String()), o.origin)
		}
		return err
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
