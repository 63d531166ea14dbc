package lock

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// TestEveryFieldIsHashed changes each field of each kind of row and wants another
// hash, unless the field is known to be derived from others: a link, a count, a
// place in memory.
func TestEveryFieldIsHashed(t *testing.T) {
	table := New()
	table.settings.Format = LimitsFormat
	in := table.Apply(Entry{Commands: []Command{&Join{Member: "m"}}}).Outcomes[0].Incarnation
	info := &Info{Host: "h", PID: 1, User: "u", Program: "p", Library: "l", Labels: []Label{{"a", "b"}}, Remote: "r", Transport: "t", Principal: "x", Quota: &Quota{100, 200, 300, 400}}
	note := &Note{Reason: "r", Labels: []Label{{"a", "b"}}, Value: []byte("v")}
	secret := SecretHash{1}
	table.Apply(Entry{Commands: []Command{
		&Open{Secret: secret, Incarnation: in, Info: info, Value: []byte("v")},
		&Acquire{Caller: Caller{Session: 1, Attach: 1, RequestID: "a"}, Items: []Item{{Name: "x"}}, Key: Key{1}, Note: note, LockDelay: 1, Lease: 5},
		&Acquire{Caller: Caller{Session: 1, Attach: 1, Slot: 1, Seq: 1}, Items: []Item{{Name: "x"}, {Name: "y"}}, Key: Key{2}, Note: note, Wait: 9},
		&Acquire{Caller: Caller{Session: 1, Attach: 1}, Items: []Item{{Name: "z"}}, Key: Key{3}},
		&Release{Caller: Caller{Session: 1, Attach: 1}, Hold: Hold{Name: "z", Key: Key{3}}},
		&Lead{Member: "m"},
	}})
	session := table.sessions.at(table.sessionByNumber[1])
	hold := table.holds.at(table.locks.at(table.findLock("x")).firstHold)
	request := table.requests.at(session.firstRequest)
	idle := table.locks.at(table.findLock("z"))
	member := table.members.at(table.memberByNumber[in])
	extra := table.extras[table.locks.at(table.findLock("x")).firstHold]
	named := session.slots.named["a"]
	numbered := session.slots.get(1)
	for _, row := range []struct {
		name    string
		row     any
		hash    func() Hash
		derived string
	}{
		{"lock", idle, func() Hash { h := table.hashLock(idle); h.add(idle.hashName()); return h },
			"held firstHold lastHold holds firstPlace lastPlace waiting rest"},
		{"idle", table.idles.at(idle.rest), func() Hash { return table.hashLock(idle) }, "prev next"},
		{"hold", hold, func() Hash { return table.hashHold(hold) },
			"lock session heap prevInLock nextInLock prevInSession nextInSession sibling"},
		{"extra", extra, func() Hash { return table.hashExtra(hold, extra) }, ""},
		{"request", request, func() Hash { return table.hashRequest(request) },
			"session heap places ready firstPlace prevInSession nextInSession"},
		{"place", table.places.at(request.firstPlace), func() Hash { return table.hashRequest(request) },
			"lock request prev next nextInRequest ready"},
		{"session", session, func() Hash { h := table.hashSession(session); h.add(session.hashIdentity()); return h },
			"tally slots member prevInMember nextInMember firstHold lastHold firstRequest lastRequest holds waits places heap"},
		{"member", member, member.hash, "first last sessionCount heap"},
		{"slot", numbered, func() Hash { return hashSlot(1, 1, numbered) }, "ref"},
		{"named slot", named, func() Hash { return hashNamed(1, "a", named) }, "ref epoch"},
		{"head", &table.head, table.hashHead, ""},
	} {
		derived := append(strings.Fields(row.derived), "ledgerMark")
		before := row.hash()
		change(reflect.ValueOf(row.row).Elem(), row.name, derived, func(path string) {
			if row.hash() == before {
				t.Errorf("another %s makes no other hash", path)
			}
		})
		if row.hash() != before {
			t.Fatalf("%s was not put back", row.name)
		}
	}
	leader := table.hashHead()
	if table.leader = "n"; table.hashHead() == leader {
		t.Error("another leader makes no other hash")
	}
}

// change changes every part of a value in turn, calls changed, and puts it back.
func change(v reflect.Value, path string, skip []string, changed func(path string)) {
	v = reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem() // also unexported ones
	old := reflect.New(v.Type()).Elem()
	old.Set(v)
	set := func(x any) {
		v.Set(reflect.ValueOf(x).Convert(v.Type()))
		changed(path)
		v.Set(old)
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); !slices.Contains(skip, f.Name) {
				change(v.Field(i), path+"."+f.Name, skip, changed)
			}
		}
	case reflect.Pointer:
		change(v.Elem(), path, skip, changed)
	case reflect.Array:
		change(v.Index(0), path+"[0]", skip, changed)
		change(v.Index(v.Len()-1), path+"[last]", skip, changed)
	case reflect.Slice:
		v.Set(reflect.Append(old, old.Index(0)))
		changed(path + "'s length")
		v.Set(old)
		change(v.Index(0), path+"[0]", skip, changed)
	case reflect.String:
		set(v.String() + "x")
	case reflect.Bool:
		set(!v.Bool())
	case reflect.Int, reflect.Int64:
		set(v.Int() + 1)
	default:
		set(v.Uint() + 1)
	}
}
