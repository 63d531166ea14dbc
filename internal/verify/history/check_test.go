package history

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// asked is the beginning of a request for a lock that one may hold.
func asked(id uint64, at int64) Record {
	return Record{Type: Begin, ID: id, Lock: "a", Size: 1, At: at}
}

func shared(id uint64, at int64) Record {
	return Record{Type: Begin, ID: id, Lock: "a", Size: 1, Shared: true, At: at}
}

func permit(id uint64, at int64) Record {
	return Record{Type: Begin, ID: id, Lock: "a", Size: 2, At: at}
}

func granted(id uint64, at int64, token uint64) Record {
	return Record{Type: Granted, ID: id, At: at, Token: token}
}

func told(what Type, id uint64, at int64) Record { return Record{Type: what, ID: id, At: at} }

func released(id uint64, from, to int64) Record { return Record{Type: End, ID: id, Call: from, At: to} }

func sure(id uint64, at int64) Record { return Record{Type: Sure, ID: id, Call: at} }

func saw(from, to int64, tokens ...uint64) Record {
	return Record{Type: Read, Lock: "a", Call: from, At: to, Tokens: tokens}
}

// Histories that a lock can have, and such that it cannot, with what is said of them.
func TestCheck(t *testing.T) {
	for _, c := range checkCases() {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			v, err := Check(c.records, dir, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(v.Violations, "\n")
			if c.want == fine && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("said %q, want %q", got, c.want)
			}
			if strings.Contains(got, "no order") {
				if pictures, err := filepath.Glob(filepath.Join(dir, "*.html")); err != nil || len(pictures) != 1 {
					t.Errorf("pictures %v, %v", pictures, err)
				}
			}
		})
	}
}

// fine is what is said of a history that a lock can have.
const fine = ""

// checkCase is a history, and a part of what is said of it.
type checkCase struct {
	name    string
	records []Record
	want    string
}

func checkCases() []checkCase {
	return append(holdCases(), []checkCase{
		{"permits", []Record{
			permit(1, 1), granted(1, 2, 10), permit(2, 3), granted(2, 4, 11), permit(3, 5), told(Refused, 3, 6), released(1, 7, 8), released(2, 7, 8),
		}, fine},
		{"too many permits", []Record{
			permit(1, 1), granted(1, 2, 0), permit(2, 3), granted(2, 4, 0), permit(3, 5), granted(3, 6, 0), sure(1, 9), sure(2, 9), sure(3, 9),
		}, "too many believe"},
		{"a refusal while a permit is free", []Record{
			permit(1, 1), granted(1, 2, 10), permit(2, 3), told(Refused, 2, 4), released(1, 7, 8),
		}, "no order"},
		{"shared", []Record{
			shared(1, 1), granted(1, 2, 10), shared(2, 3), granted(2, 4, 11), released(1, 5, 6), released(2, 7, 8),
		}, fine},
		{"shared beside exclusive", []Record{
			shared(1, 1), granted(1, 2, 10), asked(2, 3), granted(2, 4, 11), released(1, 5, 6), released(2, 7, 8),
		}, "too many believe"},
		{"overtaken", []Record{
			asked(1, 1), granted(1, 2, 10), asked(2, 3), told(Place, 2, 4), asked(3, 5), released(1, 6, 7),
			granted(3, 8, 11), released(3, 9, 10), granted(2, 11, 12), released(2, 12, 13),
		}, "overtook"},
		{"overtaken, but its place was lost", []Record{
			asked(1, 1), granted(1, 2, 10), asked(2, 3), told(Place, 2, 4), told(Ghost, 2, 5), asked(3, 5), released(1, 6, 7),
			granted(3, 8, 11), released(3, 9, 10), granted(2, 11, 12), released(2, 12, 13),
		}, fine},
		{"overtaken by who was asked before it stood there", []Record{
			asked(1, 1), granted(1, 2, 10), asked(2, 3), asked(3, 4), told(Place, 2, 5), released(1, 6, 7),
			granted(3, 8, 11), released(3, 9, 10), granted(2, 11, 12), released(2, 12, 13),
		}, fine},
		{"reads", []Record{
			saw(1, 2), asked(1, 3), granted(1, 4, 10), saw(5, 6, 10), released(1, 7, 8), saw(9, 10),
		}, fine},
		{"a read of what was", []Record{
			asked(1, 1), granted(1, 2, 10), released(1, 3, 4), saw(5, 6, 10),
		}, "no order"},
		{"a read that misses a holder", []Record{
			asked(1, 1), granted(1, 2, 10), saw(3, 4), released(1, 5, 6),
		}, "no order"},
		{"a read of a token that nobody was told of", []Record{saw(1, 2, 99)}, fine},
	}...)
}

// holdCases are about locks that one may hold, without sharing, places and reads.
func holdCases() []checkCase {
	return []checkCase{
		{"nothing", nil, fine},
		{"one after the other", []Record{
			asked(1, 1), granted(1, 2, 10), released(1, 3, 4), asked(2, 5), granted(2, 6, 11), released(2, 7, 8),
		}, fine},
		{"a waiter", []Record{
			asked(1, 1), granted(1, 2, 10), asked(2, 3), told(Place, 2, 4), released(1, 5, 6), granted(2, 7, 11), released(2, 8, 9),
		}, fine},
		{"two holders", []Record{
			asked(1, 1), granted(1, 2, 10), asked(2, 3), granted(2, 4, 11), released(1, 5, 6), released(2, 7, 8),
		}, "too many believe"},
		{"two holders, the first without a release but sure for long", []Record{
			asked(1, 1), granted(1, 2, 10), asked(2, 3), granted(2, 4, 11), sure(1, 6),
		}, "no order"},
		{"a holder that was sure no more", []Record{
			asked(1, 1), granted(1, 2, 10), sure(1, 3), asked(2, 4), granted(2, 5, 11), released(2, 6, 7),
		}, fine},
		{"a release that is not confirmed", []Record{
			asked(1, 1), granted(1, 2, 10), {Type: End, ID: 1, Call: 3}, asked(2, 4), granted(2, 5, 11), sure(2, 9),
		}, fine},
		{"granted before the release was asked for", []Record{
			asked(1, 1), granted(1, 2, 10), asked(2, 3), granted(2, 4, 11), released(1, 5, 6),
		}, "no order"},
		{"an old token for one lock", []Record{
			asked(1, 1), granted(1, 2, 10), released(1, 3, 4), asked(2, 5), granted(2, 6, 9), released(2, 7, 8),
		}, "tokens:"},
		{"an old token for another lock", []Record{
			asked(1, 1), granted(1, 2, 10), released(1, 3, 4), {Type: Begin, ID: 2, Lock: "b", Size: 1, At: 5}, granted(2, 6, 9),
		}, "tokens:"},
		{"a refusal while it is held", []Record{
			asked(1, 1), granted(1, 2, 10), asked(2, 3), told(Refused, 2, 4), released(1, 5, 6),
		}, fine},
		{"a refusal while nobody holds", []Record{
			asked(1, 1), granted(1, 2, 10), released(1, 3, 4), asked(2, 5), told(Refused, 2, 6),
		}, "no order"},
		{"a refusal that an unknown grant explains", []Record{
			asked(1, 1), told(Unknown, 1, 2), asked(2, 5), told(Refused, 2, 6),
		}, fine},
		{"a refusal that a request without answer explains", []Record{
			asked(1, 1), asked(2, 5), told(Refused, 2, 6),
		}, fine},
		{"a refusal that an unseen grant explains", []Record{
			asked(1, 1), told(Ghost, 1, 2), told(None, 1, 3), asked(2, 5), told(Refused, 2, 6),
		}, fine},
		{"a refusal before the unknown grant was asked for", []Record{
			asked(2, 1), told(Refused, 2, 2), asked(1, 3), told(Unknown, 1, 4),
		}, "no order"},
	}
}

func TestCounts(t *testing.T) {
	v, err := Check([]Record{
		asked(1, 1), granted(1, 2, 10), asked(2, 3), told(Place, 2, 3), asked(3, 3), told(Refused, 3, 4), released(1, 5, 6), granted(2, 6, 11),
		asked(4, 7), told(Unknown, 4, 8), asked(5, 9), told(None, 5, 10), saw(11, 12, 11),
	}, t.TempDir(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	// Two grants, a refusal, a wait that ended, a release and a read.
	want := Verdict{Checked: 6, Unknown: 1, Locks: 1, Grants: 2, Waits: 1, Unbound: 1}
	if got := v; len(got.Violations) != 0 || got.Checked != want.Checked || got.Unknown != want.Unknown || got.Locks != want.Locks ||
		got.Grants != want.Grants || got.Waits != want.Waits || got.Unbound != want.Unbound || got.Excused != want.Excused {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}

func TestRecordsThatCannotBe(t *testing.T) {
	if _, err := Check([]Record{granted(1, 2, 10)}, t.TempDir(), time.Hour); err == nil {
		t.Error("a grant of what was not asked for is taken")
	}
}

func TestReadFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "history")
	for _, c := range []struct {
		text string
		want int
		ok   bool
	}{
		{"", 0, true},
		{"{\"t\":\"begin\",\"id\":1}\n", 1, true},
		{"{\"t\":\"begin\",\"id\":1}\n{\"t\":\"gran", 1, true}, // its client was killed
		{"{\"t\":\"begin\",\"id\":1}\n{\"t\":\"gran\n", 0, false},
	} {
		if err := os.WriteFile(name, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadFile(name)
		if len(got) != c.want || (err == nil) != c.ok {
			t.Errorf("%q: %d records, %v", c.text, len(got), err)
		}
	}
	if _, err := ReadFile(name + ".not"); err == nil {
		t.Error("a file that is not there is read")
	}
}
