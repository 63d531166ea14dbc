package lock

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// everyCommand returns one command of each kind, by kind.
func everyCommand() []wireCommand {
	var cmds []wireCommand
	for kind := range 256 {
		if c := newCommand(byte(kind)); c != nil {
			cmds = append(cmds, c)
		}
	}
	return cmds
}

// filled returns one command of each kind in which no field is zero, and no two
// numbers are equal unless they are small.
func filled() []Command {
	var cmds []Command
	n := uint64(1)
	for _, c := range everyCommand() {
		fill(reflect.ValueOf(c).Elem(), &n)
		cmds = append(cmds, c)
	}
	return cmds
}

func fill(v reflect.Value, n *uint64) {
	*n++
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8:
		v.SetUint(1 + *n%255)
	case reflect.Uint32:
		v.SetUint(*n<<20 + *n)
	case reflect.Uint64:
		v.SetUint(*n<<40 + *n)
	case reflect.Int, reflect.Int64:
		v.SetInt(-int64(*n<<40 + *n))
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d", *n))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		fillEach(v, v.Len(), v.Index, n)
	case reflect.Array:
		fillEach(v, v.Len(), v.Index, n)
	case reflect.Struct:
		fillEach(v, v.NumField(), v.Field, n)
	default:
		panic("no values of " + v.Type().String())
	}
}

func fillEach(v reflect.Value, count int, part func(int) reflect.Value, n *uint64) {
	for i := range count {
		fill(part(i), n)
	}
}

// TestCommandRoundTrip encodes commands in which every field is set. A field
// that the encoding forgot would come back as zero.
func TestCommandRoundTrip(t *testing.T) {
	full := filled()
	var empty []Command
	for _, c := range everyCommand() {
		empty = append(empty, c)
	}
	for _, cmds := range [][]Command{full, empty, full[:1], nil} {
		b, err := AppendCommands([]byte("before"), cmds)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(b, []byte("before")) {
			t.Fatal("AppendCommands lost what it was to append to")
		}
		got, err := DecodeCommands(b[len("before"):])
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, cmds) {
			t.Errorf("got  %s\nwant %s", describeCommands(Entry{Commands: got}), describeCommands(Entry{Commands: cmds}))
		}
	}
}

// TestKindsAreStable has the numbers a second time: they stand in logs.
func TestKindsAreStable(t *testing.T) {
	want := strings.Fields(`- Birth SetSettings Join Beat EndMember Open Resume KeepAlive Detach Close Kill
		Disown Acquire Release Renew Downgrade SetValue Cancel ForceRelease Resize Collect Mark Lead`)
	for i, c := range everyCommand() {
		kind := i + 1
		if kind >= len(want) || int(c.kind()) != kind || reflect.TypeOf(c).Elem().Name() != want[kind] {
			t.Errorf("kind %d is a %T that calls itself %d", kind, c, c.kind())
		}
	}
	if n := len(everyCommand()); n != len(want)-1 {
		t.Errorf("%d kinds, want %d", n, len(want)-1)
	}
}

// TestEveryCommandHasAKind compares the kinds with the commands in the source.
func TestEveryCommandHasAKind(t *testing.T) {
	known := map[string]bool{}
	for _, c := range everyCommand() {
		known[reflect.TypeOf(c).Elem().Name()] = true
	}
	file, err := parser.ParseFile(token.NewFileSet(), "command.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name != "isCommand" {
			continue
		}
		found++
		if name := f.Recv.List[0].Type.(*ast.StarExpr).X.(*ast.Ident).Name; !known[name] {
			t.Errorf("%s has no kind and cannot be encoded", name)
		}
	}
	if found != len(known) {
		t.Errorf("%d commands in the source, %d kinds", found, len(known))
	}
}

// TestCommandsCutShort cuts encoded commands at every byte: each is an error.
func TestCommandsCutShort(t *testing.T) {
	for _, c := range filled() {
		b, err := AppendCommands(nil, []Command{c})
		if err != nil {
			t.Fatal(err)
		}
		for n := range b {
			if cmds, err := DecodeCommands(b[:n]); err == nil {
				t.Errorf("%d of %d bytes of a %T are taken for %v", n, len(b), c, cmds)
			}
		}
		if _, err := DecodeCommands(append(b, 0)); err == nil {
			t.Errorf("a byte after a %T is overlooked", c)
		}
	}
}

func TestCommandsOfAnotherVersion(t *testing.T) {
	for _, test := range []struct {
		name, want string
		b          []byte
	}{
		{"version 2", "version 2", []byte{2, 0}},
		{"version 0", "version 0", []byte{0, 0}},
		{"kind 24", "command 1 of 1: its kind 24 is unknown", []byte{commandVersion, 1, 24}},
		{"kind 0", "its kind 0 is unknown", []byte{commandVersion, 1, 0}},
		{"a second command of kind 200", "command 2 of 2: its kind 200", []byte{commandVersion, 2, kindLead, 0, 200}},
		{"nothing", "ends early", nil},
		{"bytes at the end", "1 bytes follow the last of 1 commands", []byte{commandVersion, 1, kindLead, 0, kindMark}},
	} {
		_, err := DecodeCommands(test.b)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error is %v, want one with %q", test.name, err, test.want)
		}
	}
	if _, err := AppendCommands(nil, []Command{&Mark{}, nil}); err == nil || !strings.Contains(err.Error(), "command 2 of 2") {
		t.Errorf("encoding nil: error is %v", err)
	}
}

func TestCheckLevel(t *testing.T) {
	commands := []Command{&Mark{}, &SetSettings{Settings: Settings{Format: 3}}}
	if err := CheckLevel(commands, 2); err == nil || !strings.Contains(err.Error(), "level 3, this program knows level 2") {
		t.Errorf("above: %v", err)
	}
	if err := CheckLevel(commands, 3); err != nil {
		t.Error(err)
	}
}

// TestHostileLengths claims long slices with few bytes behind them.
func TestHostileLengths(t *testing.T) {
	huge := []byte{0xff, 0xff, 0xff, 0xff, 0x0f}
	zeros := make([]byte, 1<<16)
	acquire := append(append([]byte{commandVersion, 1, kindAcquire, 0, 0, 0, 0, 0, 0, 0}, huge...), zeros...)
	some := append(append([]byte{commandVersion, 1, kindAcquire, 0, 0, 0, 0, 0, 0, 0}, 0x80, 0x80, 0x40), zeros...)
	many := append(append([]byte{commandVersion}, huge...), zeros...)
	leads := append([]byte{commandVersion, 0x80, 0x80, 0x02}, bytes.Repeat([]byte{kindLead, 0}, 1<<15)...)
	labels := append([]byte{commandVersion, 1, kindOpen}, make([]byte, 32+1+1+1)...)
	labels = append(labels, 1, 0, 0, 0, 0, 0, 0xff, 0xff, 0x01)
	labels = append(labels, zeros...)
	for name, b := range map[string][]byte{"items": acquire, "fewer items": some, "commands": many, "leads": leads, "labels": labels} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		cmds, err := DecodeCommands(b)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 100*uint64(len(b)) {
			t.Errorf("%s: %d bytes allocated for an input of %d", name, grown, len(b))
		}
		if (err == nil) != (name == "leads") {
			t.Errorf("%s: %d commands, error %v", name, len(cmds), err)
		}
	}
}
