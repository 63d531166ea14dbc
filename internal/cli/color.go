package cli

// Values of --color.
const (
	colorAuto   = "auto"
	colorAlways = "always"
	colorNever  = "never"
)

// A style says what a piece of text means. Colours stand for it on terminals.
type style uint8

const (
	plain style = iota
	heading
	good
	attention
	trouble
	faint
)

// paint puts a style on text, which must not have control characters.
func (s style) paint(text string) string {
	if s == plain || text == "" {
		return text
	}
	return [...]string{
		heading: "\x1b[1m", good: "\x1b[32m", attention: "\x1b[33m", trouble: "\x1b[31m", faint: "\x1b[2m",
	}[s] + text + "\x1b[0m"
}

// colors says whether stdout gets colours: what --color says, else what the
// variables say that programs have agreed on, else on terminals that can.
func (f *clientFlags) colors() bool {
	force := f.p.Getenv("CLICOLOR_FORCE")
	switch {
	case f.color == colorAlways:
		return true
	case f.color == colorNever, f.p.Getenv("NO_COLOR") != "":
		return false
	case force != "" && force != "0":
		return true
	default:
		return f.p.StdoutIsTerminal && f.p.Getenv("TERM") != "dumb"
	}
}
