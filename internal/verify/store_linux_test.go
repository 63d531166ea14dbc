package main

import (
	"path/filepath"
	"slices"
	"testing"
)

// A write under an old token is refused where tokens are compared, and elsewhere takes
// away what was added meanwhile, which is counted.
func TestStore(t *testing.T) {
	s, err := newStore(t.Context(), filepath.Join(t.TempDir(), "sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	w := &worker{orders: &orders{Store: s.listener.Addr().String()}}
	late, err := w.openStore(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer late.close()
	before, err := late.ask(&question{Process: 1, Name: "set", Token: 10})
	if err != nil || !before.Taken {
		t.Fatalf("the first read: %+v, %v", before, err)
	}
	prompt, err := w.openStore(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer prompt.close()
	var caught []string
	s.catch(2, func(name string) { caught = append(caught, name) })
	for i := range 2 {
		if err := prompt.update(2, "set", 11, uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(caught, []string{"set"}) {
		t.Errorf("caught %q, want one read of the set", caught)
	}
	r, err := late.ask(&question{Process: 1, Name: "set", Token: 10, Fenced: []uint64{9}, Bare: []uint64{9}})
	if err != nil || r.Taken {
		t.Errorf("a late write: %+v, %v", r, err)
	}
	after, err := prompt.ask(&question{Process: 2, Name: "set", Token: 12})
	if err != nil || !slices.Equal(after.Fenced, []uint64{0, 1}) || !slices.Equal(after.Bare, []uint64{9}) {
		t.Errorf("the sets are %+v, %v", after, err)
	}
	if s.writes != 3 || s.refused != 1 || s.fencedLost != 0 || s.bareLost != 2 {
		t.Errorf("%d writes, %d refused, %d and %d lost; want 3, 1, 0, 2", s.writes, s.refused, s.fencedLost, s.bareLost)
	}
}
