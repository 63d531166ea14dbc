package lock

import (
	"fmt"
	"strings"
	"testing"
)

// TestNames wants a name of its own for each value of a closed set, and a
// number for what is none.
func TestNames(t *testing.T) {
	check := func(kind string, count int, name func(v uint8) string) {
		seen := map[string]bool{}
		for v := range uint8(count) {
			s := name(v)
			if seen[s] || s == "" || strings.ContainsAny(s, " ") {
				t.Errorf("%s %d is called %q", kind, v, s)
			}
			seen[s] = true
		}
		if got, want := name(uint8(count)), fmt.Sprintf("%s %d", kind, count); got != want {
			t.Errorf("%s %d is called %q, want %q", kind, count, got, want)
		}
	}
	check("code", int(numCodes), func(v uint8) string { return Code(v).String() })
	check("reason", int(numEndReasons), func(v uint8) string { return EndReason(v).String() })
	check("event", int(numEventTypes), func(v uint8) string {
		if v == 0 {
			return "none"
		}
		return EventType(v).String()
	})
	check("field", int(numFields), func(v uint8) string { return Field(v).String() })
	check("mode", int(Shared)+1, func(v uint8) string { return Mode(v).String() })
	check("on_end", int(OnEndDisown)+1, func(v uint8) string { return OnEnd(v).String() })
}
