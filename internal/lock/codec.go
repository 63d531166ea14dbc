package lock

import "fmt"

// Commands travel in this form, in a log and between members:
//
//	+---------+-------+------+--------+------+--------+--
//	| version | count | kind | fields | kind | fields | ...
//	+---------+-------+------+--------+------+--------+--
//
// version and kind are one byte, count is an uvarint. Fields stand in the order
// of the fields functions below: numbers as varints, texts with their length in
// front, keys and hashes as they are, a byte 0 or 1 before what may be nil.

// commandVersion is the version that AppendCommands writes. 0 is no version.
const commandVersion = 1

// Kinds of commands. The numbers are in logs that were written: a kind keeps
// its number for ever, and a number that fell out of use is not given again.
const (
	kindBirth        byte = 1
	kindSetSettings  byte = 2
	kindJoin         byte = 3
	kindBeat         byte = 4
	kindEndMember    byte = 5
	kindOpen         byte = 6
	kindResume       byte = 7
	kindKeepAlive    byte = 8
	kindDetach       byte = 9
	kindClose        byte = 10
	kindKill         byte = 11
	kindDisown       byte = 12
	kindAcquire      byte = 13
	kindRelease      byte = 14
	kindRenew        byte = 15
	kindDowngrade    byte = 16
	kindSetValue     byte = 17
	kindCancel       byte = 18
	kindForceRelease byte = 19
	kindResize       byte = 20
	kindCollect      byte = 21
	kindMark         byte = 22
	kindLead         byte = 23
)

// AppendCommands appends the encoded commands to b. It fails only on a nil
// Command.
func AppendCommands(b []byte, cmds []Command) ([]byte, error) {
	w := wire{out: &encoder{b: b}}
	w.out.byte(commandVersion)
	w.out.uint(uint64(len(cmds)))
	for i, c := range cmds {
		wc, ok := c.(wireCommand)
		if !ok {
			return nil, fmt.Errorf("lock: command %d of %d, a %T, cannot be encoded", i+1, len(cmds), c)
		}
		w.out.byte(wc.kind())
		wc.fields(&w)
	}
	return w.out.b, nil
}

// DecodeCommands is the inverse of AppendCommands. Empty slices come back as
// nil. Input that was not written by AppendCommands, or by a version that knows
// more, is an error; it never makes DecodeCommands allocate more than a small
// multiple of its size. What comes back shares nothing with b.
func DecodeCommands(b []byte) ([]Command, error) {
	w := wire{in: &decoder{b: b}}
	if v := w.in.byte(); w.in.err == nil && v != commandVersion {
		return nil, fmt.Errorf("lock: commands are of version %d, this program reads version %d: use a newer one", v, commandVersion)
	}
	n := w.in.uint()
	if n > uint64(len(w.in.b)) { // each takes a byte at least
		w.in.fail(errTruncated)
	}
	var cmds []Command
	for i := uint64(0); i < n && w.in.err == nil; i++ {
		c, err := w.command()
		if err != nil {
			return nil, fmt.Errorf("lock: command %d of %d: %w", i+1, n, err)
		}
		cmds = append(cmds, c)
	}
	switch {
	case w.in.err != nil:
		return nil, fmt.Errorf("lock: commands: %w", w.in.err)
	case len(w.in.b) > 0:
		return nil, fmt.Errorf("lock: %d bytes follow the last of %d commands", len(w.in.b), n)
	}
	return cmds, nil
}

// CheckLevel makes sure that a program that knows the format up to a level can apply
// commands: one that does not know what they raise a table to would get another table.
func CheckLevel(commands []Command, level uint32) error {
	for _, c := range commands {
		if s, is := c.(*SetSettings); is && s.Settings.Format > level {
			return fmt.Errorf("lock: the format is raised to level %d, this program knows level %d: use a newer one", s.Settings.Format, level)
		}
	}
	return nil
}

// command reads one command.
func (w *wire) command() (Command, error) {
	kind := w.in.byte()
	if w.in.err != nil {
		return nil, w.in.err
	}
	c := newCommand(kind)
	if c == nil {
		return nil, fmt.Errorf("its kind %d is unknown: it was written by a newer version, or damaged", kind)
	}
	c.fields(w)
	return c, w.in.err
}

// wireCommand is what every command is: it knows its kind and lists its fields.
type wireCommand interface {
	Command
	kind() byte
	fields(w *wire)
}

// newCommand returns an empty command of a kind, nil if the kind is unknown.
func newCommand(kind byte) wireCommand {
	switch kind {
	case kindBirth:
		return &Birth{}
	case kindSetSettings:
		return &SetSettings{}
	case kindJoin:
		return &Join{}
	case kindBeat:
		return &Beat{}
	case kindEndMember:
		return &EndMember{}
	case kindOpen:
		return &Open{}
	case kindResume:
		return &Resume{}
	case kindKeepAlive:
		return &KeepAlive{}
	case kindDetach:
		return &Detach{}
	case kindClose:
		return &Close{}
	case kindKill:
		return &Kill{}
	case kindDisown:
		return &Disown{}
	case kindAcquire:
		return &Acquire{}
	case kindRelease:
		return &Release{}
	case kindRenew:
		return &Renew{}
	case kindDowngrade:
		return &Downgrade{}
	case kindSetValue:
		return &SetValue{}
	case kindCancel:
		return &Cancel{}
	case kindForceRelease:
		return &ForceRelease{}
	case kindResize:
		return &Resize{}
	case kindCollect:
		return &Collect{}
	case kindMark:
		return &Mark{}
	case kindLead:
		return &Lead{}
	default:
		return nil
	}
}

func (*Birth) kind() byte        { return kindBirth }
func (*SetSettings) kind() byte  { return kindSetSettings }
func (*Join) kind() byte         { return kindJoin }
func (*Beat) kind() byte         { return kindBeat }
func (*EndMember) kind() byte    { return kindEndMember }
func (*Open) kind() byte         { return kindOpen }
func (*Resume) kind() byte       { return kindResume }
func (*KeepAlive) kind() byte    { return kindKeepAlive }
func (*Detach) kind() byte       { return kindDetach }
func (*Close) kind() byte        { return kindClose }
func (*Kill) kind() byte         { return kindKill }
func (*Disown) kind() byte       { return kindDisown }
func (*Acquire) kind() byte      { return kindAcquire }
func (*Release) kind() byte      { return kindRelease }
func (*Renew) kind() byte        { return kindRenew }
func (*Downgrade) kind() byte    { return kindDowngrade }
func (*SetValue) kind() byte     { return kindSetValue }
func (*Cancel) kind() byte       { return kindCancel }
func (*ForceRelease) kind() byte { return kindForceRelease }
func (*Resize) kind() byte       { return kindResize }
func (*Collect) kind() byte      { return kindCollect }
func (*Mark) kind() byte         { return kindMark }
func (*Lead) kind() byte         { return kindLead }
