package cluster

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"
)

// book is a roll in memory. What it hears of itself goes to heard.
type book struct {
	self string

	mu    sync.Mutex
	known map[string]card
	heard map[string]card
}

func newBook(member string) *book {
	return &book{self: "directory of " + member, known: map[string]card{}, heard: map[string]card{}}
}

func (b *book) Self() string { return b.self }

func (b *book) Of(member string) (string, uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known[member].directory, b.known[member].entry
}

func (b *book) Meet(member, directory string, _ bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if k := b.known[member]; k.directory != "" && k.directory != directory {
		return fmt.Errorf("%s is a stranger", member)
	}
	b.known[member] = card{directory, b.known[member].entry}
	return nil
}

func (b *book) Hear(by, directory string, entry uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.heard[by] = card{directory, entry}
	if directory != "" && directory != b.self {
		return fmt.Errorf("%s takes this one for a stranger", by)
	}
	return nil
}

// Members tell each other which directories they have, and what they know of each other's,
// on connections of both kinds, whoever begins them.
func TestIntroduced(t *testing.T) {
	for _, purpose := range []byte{forJournal, forQuestions} {
		a, b := open(t, "a", Files{}), open(t, "b", Files{})
		c, _, err := a.dial(t.Context(), "b", b.config.Advertise, purpose)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		of, at := a.roll.(*book), b.roll.(*book)
		at.mu.Lock()
		got := maps.Clone(at.known)
		at.known["a"] = card{of.self, 7}
		at.mu.Unlock()
		if want := (card{of.self, 0}); got["a"] != want || len(got) != 1 {
			t.Errorf("%c: b has met %v", purpose, got)
		}
		if d, _ := of.Of("b"); d != at.self {
			t.Errorf("%c: a has met b with %q", purpose, d)
		}
		again, _, err := a.dial(t.Context(), "b", b.config.Advertise, purpose)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = again.Close() }()
		of.mu.Lock()
		if want := (card{of.self, 7}); of.heard["b"] != want {
			t.Errorf("%c: a heard %v of itself", purpose, of.heard["b"])
		}
		of.mu.Unlock()
		at.mu.Lock()
		if want := (card{at.self, 0}); at.heard["a"] != want {
			t.Errorf("%c: b heard %v of itself", purpose, at.heard["a"])
		}
		at.mu.Unlock()
	}
}

// Whoever comes with another directory is refused on both sides, whoever begins.
func TestAnotherDirectory(t *testing.T) {
	for _, purpose := range []byte{forJournal, forQuestions} {
		a, b := open(t, "a", Files{}), open(t, "b", Files{})
		b.roll.(*book).known["a"] = card{"another one", 0}
		_, _, err := a.dial(t.Context(), "b", b.config.Advertise, purpose)
		if err == nil || !strings.Contains(err.Error(), "b takes this one for a stranger") {
			t.Errorf("%c: a dials b: %v", purpose, err)
		}
		_, _, err = b.dial(t.Context(), "a", a.config.Advertise, purpose)
		if err == nil || !strings.Contains(err.Error(), "b takes this one for a stranger") {
			t.Errorf("%c: b dials a: %v", purpose, err)
		}
		// A member that does not know itself better is refused all the same.
		delete(b.roll.(*book).known, "a")
		a.roll.(*book).known["b"] = card{"another one", 0}
		b.roll.(*book).self = "another one still"
		_, _, err = b.dial(t.Context(), "a", a.config.Advertise, purpose)
		if err == nil || !strings.Contains(err.Error(), "a takes this one for a stranger") {
			t.Errorf("%c: b dials a: %v", purpose, err)
		}
	}
}

// The journals do not speak before it is known who the members are.
func TestNotIntroduced(t *testing.T) {
	b := open(t, "b", Files{})
	a, err := Open(Config{Member: "a", Cluster: "01"})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if _, err := a.Streams().Dial("b", b.config.Advertise, time.Nanosecond); err == nil {
		t.Fatal("dialled without being introduced")
	}
	if cluster, member, err := a.Meet(t.Context(), b.config.Advertise); err != nil || cluster != "01" || member != "b" {
		t.Errorf("met %q of %q: %v", member, cluster, err)
	}
}
