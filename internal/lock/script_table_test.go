package lock

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// script is the table that a script drives, and what its names stand for. With
// each entry it does the same to a second table, which is saved and restored
// after each.
type script struct {
	t           *testing.T
	table, twin *Table
	line        int
	term, stamp uint64
	next        Entry // what gathers for it, with the words of its commands
	names       []string
	pending     bool
	clients     map[string]*client
	members     map[string]Incarnation
	lastMember  string
	keys        uint64
	beats       uint64
	seen        seenNames
}

// client is a session, or a program that wants one.
type client struct {
	number SessionNumber
	attach uint64
	secret SecretHash
	slots  uint32
}

func newScript(t *testing.T, seen seenNames) *script {
	return &script{
		t: t, table: New(), twin: New(), term: 1, seen: seen,
		clients: map[string]*client{}, members: map[string]Incarnation{},
	}
}

// run carries out a block: each command, which handlers have, is an entry of its
// own. Lines that are no commands: +5s (time passes, with the next command or by
// itself), term N (the log's term from now on), stamp N (the term of the next
// entry's stamp), batch (all that follows is one entry), show (the state), show
// NAME (a lock).
func (s *script) run(block []string) (out []string) {
	batch := false
	for _, line := range block {
		a := s.parse(line)
		switch word := a.word; {
		case strings.HasPrefix(word, "+"):
			s.next.Elapsed, s.pending = s.span(word[1:]), true
		case word == "term":
			s.term, s.pending = a.number(a.next()), true
		case word == "stamp":
			s.stamp = a.number(a.next())
		case word == "batch":
			batch = true
		case word == "show":
			out = append(append(out, s.flush()...), s.show(a.next())...)
		case handlers[word] == nil:
			s.t.Fatalf("line %d: unknown command %q", s.line, word)
		default:
			s.next.Commands, s.names = append(s.next.Commands, handlers[word](a)), append(s.names, word)
			if s.pending = true; !batch {
				out = append(out, s.flush()...)
			}
		}
		a.done()
	}
	return append(out, s.flush()...)
}

// flush applies what has gathered for the next entry.
func (s *script) flush() []string {
	if !s.pending {
		return nil
	}
	e, names := s.next, s.names
	e.Term, e.StampTerm = s.term, s.term
	if s.stamp != 0 {
		e.StampTerm = s.stamp
	}
	s.next, s.names, s.stamp, s.pending = Entry{}, nil, 0, false
	return s.apply(e, names)
}

// apply hands an entry to both tables and tells what came out.
func (s *script) apply(e Entry, names []string) []string {
	r := s.table.Apply(e)
	out := resultLines(r, names)
	s.seen.note(r)
	s.learn(e.Commands, r)
	if twin := resultLines(s.twin.Apply(e), names); !slices.Equal(out, twin) {
		s.t.Errorf("line %d: the restored table answers\n%s", s.line, strings.Join(twin, "\n"))
	}
	if err := s.table.Check(); err != nil {
		s.t.Errorf("line %d: %v", s.line, err)
	}
	twin, err := copyOf(s.twin)
	if err != nil {
		s.t.Fatalf("line %d: %v", s.line, err)
	}
	if s.twin = twin; s.twin.Hash() != s.table.Hash() || s.twin.Describe() != s.table.Describe() {
		s.t.Errorf("line %d: the restored table differs:\n%s", s.line, s.twin.Describe())
	}
	return out
}

// show describes the state, or one lock.
func (s *script) show(name string) []string {
	text := s.table.Describe()
	if name != "" {
		v, ok := s.table.Lookup(name, 100, 100)
		if text = v.String(); !ok {
			text = "no lock " + name
		}
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// learn keeps the numbers that later commands need.
func (s *script) learn(cmds []Command, r *Result) {
	for i, c := range cmds {
		o := &r.Outcomes[i]
		if o.Code != OK {
			continue
		}
		switch c := c.(type) {
		case *Open:
			s.learnAttach(c.Secret, o)
		case *Resume:
			s.learnAttach(c.Secret, o)
		case *Join:
			s.members[c.Member], s.lastMember = o.Incarnation, c.Member
		}
	}
}

func (s *script) learnAttach(secret SecretHash, o *Outcome) {
	for _, c := range s.clients {
		if c.secret == secret {
			c.number, c.attach = o.Session, o.Attach
		}
	}
}

// client returns the client of a name; "-" is nobody.
func (s *script) client(name string) *client {
	c := s.clients[name]
	if c == nil {
		c = &client{secret: secretOf(name)}
		if name == "-" {
			c.secret = SecretHash{}
		}
		s.clients[name] = c
	}
	return c
}

func secretOf(name string) (h SecretHash) { copy(h[:], name); return h }

// keyOf is the key that scripts call by a number.
func keyOf(n uint64) (k Key) { binary.BigEndian.PutUint32(k[:4], uint32(n)); return k }

// span reads a duration: 1500ms, forever, max.
func (s *script) span(text string) Duration {
	switch text {
	case "forever":
		return Forever
	case "max":
		return MaxDuration
	case "max+1":
		return MaxDuration + 1
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		s.t.Fatalf("line %d: %v", s.line, err)
	}
	return Duration(d / time.Microsecond)
}

func itoa(n int) string { return strconv.Itoa(n) }
