package lock

import "testing"

// one applies one command.
func one(t *Table, c Command) Outcome {
	return t.Apply(Entry{Term: 1, StampTerm: 1, Commands: []Command{c}}).Outcomes[0]
}

// TestOutsideSessionsTheKeyDecides: a token is shown to everybody, and a
// request id is chosen by anybody. Neither gives a stranger a hold outside
// sessions, nor its key.
func TestOutsideSessionsTheKeyDecides(t *testing.T) {
	table := New()
	ask := func(k Key) Outcome {
		return one(table, &Acquire{
			Caller: Caller{RequestID: "1"}, Items: []Item{{Name: "a"}}, Lease: Second, Key: k,
		})
	}
	o := ask(Key{1})
	if o.Code != OK {
		t.Fatalf("acquire: %v", o.Code)
	}
	if got := ask(Key{2}); got.Code != SlotMisused || got.Key != (Key{}) {
		t.Errorf("a stranger with the same request id: code %v, key %v", got.Code, got.Key)
	}
	if got := ask(Key{1}); got.Code != OK || got.Token != o.Token {
		t.Errorf("the same caller again: code %v, token %d, want %d", got.Code, got.Token, o.Token)
	}
	if got := one(table, &Release{Hold: Hold{Name: "a", Token: o.Token}}); got.Code != WrongKey {
		t.Errorf("release by token: %v, want %v", got.Code, WrongKey)
	}
	if got := one(table, &Release{Hold: Hold{Name: "a", Key: Key{1}}}); got.Code != OK {
		t.Errorf("release by key: %v", got.Code)
	}
}
