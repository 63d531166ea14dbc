package statefile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// MaxBytes is the largest file that is read: room for millions of grants.
const MaxBytes = 1 << 30

// A Grant is a hold of a lock, as a server of version 1 wrote it down.
type Grant struct {
	// Session that held it. It has no meaning any more: its connection is gone.
	Session string
	// Name of the lock, Key of the hold, Size of the lock.
	Name, Key string
	Size      int32
}

// Sizes says how the sizes in a file are encoded.
type Sizes uint8

const (
	// PlainSizes are those of the newest releases.
	PlainSizes Sizes = iota
	// ZigzagSizes are those of v1.1.1, where every number in the file is even.
	ZigzagSizes
)

// A File is what was read.
type File struct {
	Grants []Grant
	// Sizes is how they were encoded, as far as can be told: a file of v1.1.1 has
	// even numbers only, but a file of a newer release can, too, if all its locks
	// have even sizes. Then its sizes are read as half of what they are.
	Sizes Sizes
}

// An Error says where a file is not what a server of version 1 writes. Text is
// what such a server would say of it.
type Error struct {
	// Offset in bytes of what is wrong.
	Offset int64
	Text   string
}

// Error says where and what.
func (e *Error) Error() string { return fmt.Sprintf("at byte %d: %s", e.Offset, e.Text) }

// Read reads a file to its end. An empty one has no grants. Errors are those of
// r, or an [*Error]. What it returns is consistent: names and keys are not empty,
// no key is there twice for a lock, all grants of a lock agree on its size, and
// there are not more of them than that.
func Read(r io.Reader) (*File, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > MaxBytes:
		return nil, fmt.Errorf("more than %d bytes are not read", MaxBytes)
	case len(data) == 0:
		return &File{}, nil
	}
	p := &parser{data: data}
	p.file()
	if p.err == nil && p.at < len(data) {
		p.fail("%d bytes follow the end of the state", len(data)-p.at)
	}
	if p.err != nil {
		return nil, p.err
	}
	f := &File{Grants: p.grants}
	f.settleSizes()
	if err := f.check(p.offsets); err != nil {
		return nil, err
	}
	return f, nil
}

// parser goes through a file; after the first error it stays where it is.
type parser struct {
	data    []byte
	at      int
	err     error
	grants  []Grant
	offsets []int // of the grants
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = &Error{int64(p.at), fmt.Sprintf(format, args...)}
	}
}

// file reads the sessions and the end of the list.
func (p *parser) file() {
	for n := p.count("sessions"); n > 0 && p.err == nil; n-- {
		session := p.text("the id of a session")
		for n := p.count("locks"); n > 0 && p.err == nil; n-- {
			p.offsets = append(p.offsets, p.at)
			g := Grant{Session: session, Name: p.text("the name of a lock"), Key: p.text("the key of a lock")}
			g.Size = p.size()
			p.grants = append(p.grants, g)
		}
		p.end("a session")
	}
	p.end("the state")
}

// tooShort is how version 1 words that a file ends too early, or that a length
// in it leads beyond its end.
const tooShort = "buffer too small"

func (p *parser) varint() uint64 {
	if p.err != nil {
		return 0
	}
	v, n := binary.Uvarint(p.data[p.at:])
	switch {
	case n == 0:
		p.fail(tooShort)
	case n < 0:
		p.fail("a number is too large")
	default:
		p.at += n
	}
	return v
}

// count reads how many there are of something; each takes a byte at least.
func (p *parser) count(what string) uint64 {
	n := p.varint()
	if n > uint64(len(p.data)-p.at) {
		p.fail("%s: %d %s do not fit in the rest of the file", tooShort, n, what)
		return 0
	}
	return n
}

func (p *parser) text(what string) string {
	n := p.varint()
	if n > uint64(len(p.data)-p.at) {
		p.fail("%s: %s would have %d bytes", tooShort, what, n)
		return ""
	}
	b := p.data[p.at : p.at+int(n)]
	switch {
	case p.err != nil:
		return ""
	case len(b) == 0:
		p.fail("%s is empty", what)
	case !utf8.Valid(b):
		p.fail("%s is not UTF-8", what)
	}
	p.at += len(b)
	return string(b)
}

func (p *parser) size() int32 {
	const bytes = 4
	if p.err != nil || len(p.data)-p.at < bytes {
		p.fail(tooShort)
		return 0
	}
	v := int32(binary.LittleEndian.Uint32(p.data[p.at:]))
	if v <= 0 {
		p.fail("a lock has size %d", v)
	}
	p.at += bytes
	return v
}

// end reads the mark after a list.
func (p *parser) end(what string) {
	const mark = "\x01\x01\x01\x01"
	switch rest := p.data[p.at:]; {
	case p.err != nil:
	case len(rest) < len(mark):
		p.fail(tooShort)
	case string(rest[:len(mark)]) != mark:
		p.fail("the mark at the end of %s is missing", what)
	default:
		p.at += len(mark)
	}
}

// settleSizes finds out how sizes are encoded: an odd number is not zigzag of
// anything positive.
func (f *File) settleSizes() {
	if len(f.Grants) == 0 {
		return
	}
	for i := range f.Grants {
		if f.Grants[i].Size%2 != 0 {
			return
		}
	}
	f.Sizes = ZigzagSizes
	for i := range f.Grants {
		f.Grants[i].Size /= 2
	}
}

// check finds grants that cannot all be true.
func (f *File) check(offsets []int) error {
	type holdName struct{ name, key string }
	held := map[string]int32{}
	size := map[string]int32{}
	seen := map[holdName]bool{}
	for i, g := range f.Grants {
		var err error
		switch name := (holdName{g.Name, g.Key}); {
		case seen[name]:
			err = fmt.Errorf("lock %q has a key twice", g.Name)
		case held[g.Name] > 0 && size[g.Name] != g.Size:
			err = fmt.Errorf("lock %q has size %d and size %d", g.Name, size[g.Name], g.Size)
		case held[g.Name] == g.Size:
			err = fmt.Errorf("lock %q of size %d is held more often than that", g.Name, g.Size)
		default:
			seen[name] = true
		}
		if err != nil {
			return &Error{int64(offsets[i]), err.Error()}
		}
		size[g.Name] = g.Size
		held[g.Name]++
	}
	return nil
}

// TooShort reports whether an error of [Read] means that a file ends too early.
func TooShort(err error) bool {
	e := (*Error)(nil)
	return errors.As(err, &e) && len(e.Text) >= len(tooShort) && e.Text[:len(tooShort)] == tooShort
}
