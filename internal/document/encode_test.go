package document

import (
	"encoding/json"
	"testing"
	"time"
)

func TestSpan(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		text string
		ms   int64
	}{
		{0, "0s", 0},
		{30 * time.Second, "30s", 30000},
		{1234567 * time.Microsecond, "1.234s", 1234},
		{999 * time.Microsecond, "0s", 0},
	} {
		if text, ms := Span(c.d); text != c.text || *ms != c.ms {
			t.Errorf("%s is %s and %d ms, want %s and %d", c.d, text, *ms, c.text, c.ms)
		}
	}
}

func TestNumberOf(t *testing.T) {
	for n, want := range map[uint64]Number{0: "", 1: "1", 1<<64 - 1: "18446744073709551615"} {
		if got := NumberOf(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

func TestTime(t *testing.T) {
	zone := time.FixedZone("", 3600)
	at := Time(time.Date(2026, 11, 22, 11, 4, 1, 102_900_000, zone))
	b, err := json.Marshal(at)
	if got, want := string(b), `"2026-11-22T10:04:01.102Z"`; err != nil || got != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
	var back Time
	if err := json.Unmarshal([]byte(`"2026-11-22T11:04:01.102+01:00"`), &back); err != nil ||
		!time.Time(back).Equal(time.Time(at).Truncate(time.Millisecond)) {
		t.Errorf("read back: %v, %v", time.Time(back), err)
	}
	if err := json.Unmarshal([]byte(`"yesterday"`), &back); err == nil {
		t.Error("it reads anything")
	}
}

func TestAppendEscapes(t *testing.T) {
	name := "a<b>&\"\\\n\x1b[31m\x7f\u009b\u202eé漢\u2028"
	b, err := Append([]byte("> "), Waiter{Lock: name, Reason: ""})
	if err != nil {
		t.Fatal(err)
	}
	want := `> {"lock":"a<b>&\"\\\n\u001b[31m\u007f\u009b\u202eé漢\u2028","mode":"","permits":0,"waited":"","waited_ms":null}`
	if got := string(b); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var back Waiter
	if err := json.Unmarshal(b[2:], &back); err != nil || back.Lock != name {
		t.Errorf("read back %q, %v", back.Lock, err)
	}
}

func TestAppendKeepsWhatItHad(t *testing.T) {
	b, err := Append([]byte("x"), func() {})
	if err == nil || string(b) != "x" {
		t.Errorf("got %q, %v", b, err)
	}
}

// Counts and lists are always there; nothing that is not known is.
func TestEmptyDocuments(t *testing.T) {
	zero := int64(0)
	for _, c := range []struct {
		doc  any
		want string
	}{
		{
			Lock{Name: "a", State: Idle, Size: 1, Holders: []Holder{}, Waiters: []Waiter{}},
			`{"name":"a","state":"idle","size":1,"held":0,"shared_holds":0,"holder_count":0,"waiter_count":0,"free_behind_head":0,"holders":[],"waiters":[]}`,
		},
		{
			Session{Session: "7", TTL: "0s", TTLMS: &zero, Age: "0s", AgeMS: &zero},
			`{"session":"7","attached":false,"ttl":"0s","ttl_ms":0,"age":"0s","age_ms":0,"hold_count":0,"wait_count":0}`,
		},
		{Event{Type: Reset}, `{"time":"0001-01-01T00:00:00.000Z","type":"reset"}`},
		{Holder{}, `{}`},
	} {
		b, err := Append(nil, c.doc)
		if got := string(b); err != nil || got != c.want {
			t.Errorf("got  %s, %v\nwant %s", got, err, c.want)
		}
	}
}
