package seats

import (
	"sync"
	"testing"
)

func TestLimits(t *testing.T) {
	s := New(4, 2)
	take := func(principal string, own int, field string, limit int) func() {
		t.Helper()
		leave, full := s.Take(principal, own)
		switch {
		case field == "" && full != nil:
			t.Fatalf("%q gets no seat: %v", principal, full)
		case field != "" && (full == nil || *full != Full{field, limit} || leave != nil):
			t.Fatalf("%q: got %+v, want %s %d", principal, full, field, limit)
		}
		return leave
	}
	a := take("a", 0, "", 0)
	take("a", 0, "", 0)
	take("a", 0, OfPrincipal, 2)
	take("a", 1, OfPrincipal, 1)
	b := take("a", 3, "", 0)
	take("", 0, "", 0)
	take("b", 9, Total, 4)
	take("", 0, Total, 4)
	a()
	a() // once is enough
	take("b", 1, "", 0)
	take("b", 1, Total, 4)
	b()
	take("b", 1, OfPrincipal, 1)
	if got := s.Taken(); got != 3 {
		t.Errorf("%d are taken, want 3", got)
	}
}

func TestNoLimits(t *testing.T) {
	for _, s := range []*Seats{nil, New(0, 0)} {
		for range 100 {
			leave, full := s.Take("a", 0)
			if full != nil {
				t.Fatal(full)
			}
			defer leave()
		}
	}
	if got := (*Seats)(nil).Taken(); got != 0 {
		t.Errorf("of none, %d are taken", got)
	}
}

// What many take and leave at the same time adds up.
func TestConcurrent(t *testing.T) {
	s := New(3, 2)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				if leave, full := s.Take("a", 0); full == nil {
					leave()
				}
			}
		})
	}
	all.Wait()
	if got := s.Taken(); got != 0 || len(s.by) != 0 {
		t.Errorf("%d are taken, %v by principals", got, s.by)
	}
}

func TestFullSaysWhatToDo(t *testing.T) {
	want := "the limit on connections of one principal is reached (limit 7); close some, or have the limit raised"
	if got := (&Full{OfPrincipal, 7}).Error(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
