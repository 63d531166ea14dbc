package lock

import "testing"

// TestRevokedHoldOfADetachedSessionThatResumes: what is left of a detached
// session says nothing about how long its client may believe, for it may resume.
// A revoked hold stands until even then nobody believes in it.
func TestRevokedHoldOfADetachedSessionThatResumes(t *testing.T) {
	table, n, attach := attached(t)
	o := one(table, &Acquire{Caller: Caller{Session: n, Attach: attach}, Items: []Item{{Name: "a"}}, Key: Key{1}})
	one(table, &Detach{Session: n, Attach: attach, Silent: 9 * Second}) // one second is left
	if got := one(table, &ForceRelease{Name: "a", Token: o.Token, Wait: true}); got.Code != OK {
		t.Fatalf("revoke: %v", got.Code)
	}
	in := table.memberByName["m"]
	resumed := one(table, &Resume{Session: n, Secret: SecretHash{1}, Incarnation: table.members.at(in).number})
	if resumed.Code != OK {
		t.Fatalf("resume: %v", resumed.Code)
	}
	believes := resumed.TTL
	table.Apply(Entry{Term: 1, StampTerm: 1, Elapsed: believes})
	if v, _ := table.Lookup("a", 1, 0); len(v.Holders) != 1 || !v.Holders[0].Revoked {
		t.Fatalf("freed while its holder may believe in it:\n%s", table.Describe())
	}
	table.Apply(Entry{Term: 1, StampTerm: 1, Elapsed: table.Settings().MemberLease})
	if v, _ := table.Lookup("a", 1, 0); len(v.Holders) != 0 {
		t.Fatalf("never freed:\n%s", table.Describe())
	}
}
