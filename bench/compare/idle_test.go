//go:build linux

package compare

import "testing"

// Signs of life and comparisons between the marks are the members' own, whatever else is
// there counts, and what is outside does not.
func TestBetweenMarks(t *testing.T) {
	const (
		head    = `{"part":"identity","cluster":"c"}` + "\n"
		open    = `{"part":"entry","kind":"batches","commands":[{"command":"open"}]}` + "\n"
		begin   = `{"part":"entry","kind":"batches","commands":[{"command":"release","fields":{"name":"mark/begin"}}]}` + "\n"
		beat    = `{"part":"entry","kind":"batches","commands":[{"command":"beat"},{"command":"beat"}]}` + "\n"
		mark    = `{"part":"entry","kind":"batches","commands":[{"command":"mark"}]}` + "\n"
		mixed   = `{"part":"entry","kind":"batches","commands":[{"command":"beat"},{"command":"detach"}]}` + "\n"
		nothing = `{"part":"entry","kind":"batches","commands":[]}` + "\n"
		barrier = `{"part":"entry","kind":"barrier"}` + "\n"
		end     = `{"part":"entry","kind":"batches","commands":[{"command":"beat"},{"command":"acquire","fields":{"items":[{"name":"mark/end"}]}}]}` + "\n"
	)
	for dump, want := range map[string][2]int{
		head + open + begin + end:                                          {0, 0},
		head + begin + beat + mark + end + mixed:                           {0, 2},
		begin + mixed + beat + nothing + open + barrier + end:              {3, 1},
		beat + open + begin + barrier + end + nothing + `{"part":"state"}`: {0, 0},
	} {
		own, beats, err := betweenMarks(dump)
		if got := [2]int{own, beats}; got != want || err != nil {
			t.Errorf("%s: got %v, %v, want %v", dump, got, err, want)
		}
	}
	for _, dump := range []string{"", head + open, begin + beat, end + beat, begin + "{"} {
		if own, beats, err := betweenMarks(dump); err == nil {
			t.Errorf("%q: got %d, %d", dump, own, beats)
		}
	}
}

func TestQuantile(t *testing.T) {
	sorted := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for q, want := range map[float64]float64{0: 1, 0.5: 5, 0.9: 9, 0.91: 10, 1: 10} {
		if got := quantile(sorted, q); got != want {
			t.Errorf("%v: got %v, want %v", q, got, want)
		}
	}
	if got := quantile(sorted[:1], 0.9); got != 1 {
		t.Errorf("of one: got %v", got)
	}
}
