package statefile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// write is what a server of version 1 would have written.
func write(sizes Sizes, grants ...Grant) []byte {
	const mark = "\x01\x01\x01\x01"
	text := func(b []byte, s string) []byte { return append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	var sessions []string
	for _, g := range grants {
		if !slices.Contains(sessions, g.Session) {
			sessions = append(sessions, g.Session)
		}
	}
	b := binary.AppendUvarint(nil, uint64(len(sessions)))
	for _, s := range sessions {
		of := slices.DeleteFunc(slices.Clone(grants), func(g Grant) bool { return g.Session != s })
		b = binary.AppendUvarint(text(b, s), uint64(len(of)))
		for _, g := range of {
			size := uint32(g.Size)
			if sizes == ZigzagSizes {
				size *= 2
			}
			b = binary.LittleEndian.AppendUint32(text(text(b, g.Name), g.Key), size)
		}
		b = append(b, mark...)
	}
	return append(b, mark...)
}

// TestSamples reads files that both releases have written, and writes them again.
func TestSamples(t *testing.T) {
	for name, want := range map[string]struct {
		sizes  Sizes
		grants []Grant
	}{
		"newest-one": {PlainSizes, []Grant{
			{"bae13491-60ab-42f2-94be-c097ac8a407d", "first", "9309e11f-0a34-4a5e-945c-63d66fedb579", 1},
		}},
		"newest-three": {PlainSizes, []Grant{
			{"e1f2c331-bb58-4d12-ae1c-84f149ad4d2f", "first", "aa8baaf7-acfa-4128-88d4-36975ad4c83b", 1},
			{"e1f2c331-bb58-4d12-ae1c-84f149ad4d2f", "slots/ü", "4a27c9e8-e358-4428-b65e-d9995c2d3c51", 300},
			{"c85d13e8-b82c-444c-b5ce-fa25dd87f2a1", "slots/ü", "64df56c5-d846-4a6b-b237-e11847815818", 300},
		}},
		"v1.1.1-one": {ZigzagSizes, []Grant{
			{"eb070951-5170-49e5-b5c5-cb5dc8a92c09", "first", "4ff8f49a-2767-4f39-a56a-d5b918fa3565", 1},
		}},
		"v1.1.1-three": {ZigzagSizes, []Grant{
			{"2969627b-9fc8-4a42-aef2-e1500e80a702", "first", "155bce99-e413-470c-9052-cd77dacc758f", 1},
			{"2969627b-9fc8-4a42-aef2-e1500e80a702", "slots/ü", "cea491cc-3ce5-475d-8171-b4d92f04e035", 300},
			{"a6022b5b-ac04-458e-83cc-eeaf90c30670", "slots/ü", "6851522d-d1cb-4332-92f2-ce6913d62a73", 300},
		}},
	} {
		data, err := os.ReadFile(filepath.Join("testdata", name+".state"))
		if err != nil {
			t.Fatal(err)
		}
		f, err := Read(bytes.NewReader(data))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if f.Sizes != want.sizes || !slices.Equal(f.Grants, want.grants) {
			t.Errorf("%s: sizes %d, grants %q; want %d, %q", name, f.Sizes, f.Grants, want.sizes, want.grants)
		}
		if again := write(f.Sizes, f.Grants...); !bytes.Equal(again, data) {
			t.Errorf("%s: written again it is %x", name, again)
		}
	}
}

func TestEmpty(t *testing.T) {
	for name, data := range map[string][]byte{"no bytes": nil, "no sessions": write(PlainSizes)} {
		if f, err := Read(bytes.NewReader(data)); err != nil || len(f.Grants) > 0 {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
}

// TestCutAnywhere cuts a file at every byte: what is left is refused, because it
// ends too early.
func TestCutAnywhere(t *testing.T) {
	data := write(PlainSizes, Grant{"s", "a", "k", 1}, Grant{"s", "b", "l", 3}, Grant{"t", "b", "m", 3})
	for n := 1; n < len(data); n++ {
		if f, err := Read(bytes.NewReader(data[:n])); err == nil || !TooShort(err) || !strings.Contains(err.Error(), "at byte") {
			t.Errorf("%d bytes of %d: %v, %v; want an error that says so", n, len(data), f, err)
		}
	}
}

func TestRefused(t *testing.T) {
	one := write(PlainSizes, Grant{"s", "a", "k", 1})
	patched := func(at int, b byte) []byte {
		p := slices.Clone(one)
		p[at] = b
		return p
	}
	for want, data := range map[string][]byte{
		"2 bytes follow":          append(slices.Clone(one), 1, 1),
		"mark at the end of a se": patched(len(one)-8, 7),
		"mark at the end of the":  patched(len(one)-1, 7),
		"size -":                  patched(len(one)-9, 0xff),
		"size 0":                  write(PlainSizes, Grant{"s", "a", "k", 0}),
		"name of a lock is empty": write(PlainSizes, Grant{"s", "", "k", 1}),
		"key of a lock is empty":  write(PlainSizes, Grant{"s", "a", "", 1}),
		"not UTF-8":               write(PlainSizes, Grant{"s", "a\xff", "k", 1}),
		"a key twice":             write(PlainSizes, Grant{"s", "a", "k", 3}, Grant{"t", "a", "k", 3}),
		"size 3 and size 5":       write(PlainSizes, Grant{"s", "a", "k", 3}, Grant{"t", "a", "l", 5}),
		"more often than that":    write(PlainSizes, Grant{"s", "a", "k", 1}, Grant{"t", "a", "l", 1}),
		"number is too large":     bytes.Repeat([]byte{0xff}, 11),
		"4294967295 sessions":     {0xff, 0xff, 0xff, 0xff, 0x0f},
		"buffer too small":        []byte("this is no state file at all"),
	} {
		f, err := Read(bytes.NewReader(data))
		e := (*Error)(nil)
		if !errors.As(err, &e) || !strings.Contains(err.Error(), want) || e.Offset > int64(len(data)) {
			t.Errorf("%v, %v; want an error with %q", f, err, want)
		}
	}
	broken := errors.New("broken")
	if _, err := Read(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("an error of the reader: %v", err)
	}
}

// FuzzRead: whatever is read can be written, and read again.
func FuzzRead(f *testing.F) {
	samples, err := filepath.Glob("testdata/*.state")
	if err != nil || len(samples) == 0 {
		f.Fatal("no samples", err)
	}
	for _, name := range samples {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		again, err := Read(bytes.NewReader(write(file.Sizes, file.Grants...)))
		if err != nil {
			t.Fatalf("%q cannot be read again: %v", file.Grants, err)
		}
		sorted := func(g []Grant) []Grant {
			return slices.SortedFunc(slices.Values(g), func(a, b Grant) int { return strings.Compare(a.Name+"\x00"+a.Key, b.Name+"\x00"+b.Key) })
		}
		if again.Sizes != file.Sizes || !slices.Equal(sorted(again.Grants), sorted(file.Grants)) {
			t.Errorf("read again it is %q, was %q", again.Grants, file.Grants)
		}
	})
}
