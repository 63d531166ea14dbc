package sessionapi

import (
	"regexp"
	"strings"
	"testing"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// all returns the values of a closed set of the lock table: those with a name.
func all[K interface {
	~uint8
	String() string
}](first K) []K {
	unnamed := regexp.MustCompile(`^\w+ \d+$`)
	var values []K
	for k := first; !unnamed.MatchString(k.String()); k++ {
		values = append(values, k)
	}
	return values
}

func TestEveryCodeHasARow(t *testing.T) {
	values := all(lock.OK)
	if len(values) < 21 {
		t.Fatalf("only %d codes found", len(values))
	}
	for _, c := range values {
		if CodeOf(c) == ldlmv2.Code_CODE_UNSPECIFIED {
			t.Errorf("no row for code %s", c)
		}
		s := StatusOf(&lock.Outcome{Code: c})
		if success := c == lock.OK || c == lock.Queued; success != (s == nil) {
			t.Errorf("status of %s: %v", c, s)
			continue
		} else if success {
			continue
		}
		if s.Code != CodeOf(c) || s.Ending == ldlmv2.Ending_ENDING_UNSPECIFIED {
			t.Errorf("%s: code %v, ending %v", c, s.Code, s.Ending)
		}
		if len(s.Message) < 20 || strings.Contains(s.Message, "failed: ") {
			t.Errorf("%s: nobody has found words for it: %q", c, s.Message)
		}
	}
	if got := CodeOf(values[len(values)-1] + 1); got != ldlmv2.Code_CODE_UNSPECIFIED {
		t.Errorf("a code beyond the last one is %v", got)
	}
}

func TestEveryEndReasonHasARow(t *testing.T) {
	seen := map[ldlmv2.EndReason]bool{}
	for _, r := range all(lock.NotEnded) {
		got := EndReasonOf(r)
		if seen[got] {
			t.Errorf("no row of its own for reason %s: %v", r, got)
		}
		seen[got] = true
		if r != lock.NotEnded && row(reasons[:], r) == "" {
			t.Errorf("no words for reason %s", r)
		}
	}
	if len(seen) != len(ldlmv2.EndReason_name) {
		t.Errorf("%d reasons of %d in the protocol are used", len(seen), len(ldlmv2.EndReason_name))
	}
}

func TestEveryEventTypeHasARow(t *testing.T) {
	seen := map[ldlmv2.EventType]bool{}
	for _, e := range all(lock.RequestQueued) {
		for _, r := range all(lock.NotEnded) {
			if EventTypeOf(e, r) == ldlmv2.EventType_EVENT_TYPE_UNSPECIFIED {
				t.Errorf("no row for event %s", e)
			}
			seen[EventTypeOf(e, r)] = true
		}
	}
	if want := len(ldlmv2.EventType_name) - 1; len(seen) != want {
		t.Errorf("%d types of event of %d in the protocol are used", len(seen), want)
	}
}

func TestEveryFieldHasARow(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range all(lock.FieldNone) {
		name := FieldName(f)
		if seen[name] {
			t.Errorf("no row of its own for field %s: %q", f, name)
		}
		seen[name] = true
	}
}

func TestEveryModeThereAndBack(t *testing.T) {
	for _, m := range all(lock.Exclusive) {
		if got := modeFrom(ModeOf(m)); got != m {
			t.Errorf("%s comes back as %s", m, got)
		}
	}
	if got := modeFrom(ldlmv2.Mode_MODE_UNSPECIFIED); got != lock.Exclusive {
		t.Errorf("no mode is %s", got)
	}
	for _, m := range []ldlmv2.Mode{3, -1, 1 << 30} {
		if got := modeFrom(m); got != noMode {
			t.Errorf("unknown mode %d is %s", m, got)
		}
	}
}

func TestEndings(t *testing.T) {
	tests := map[ldlmv2.Code]ldlmv2.Ending{
		ldlmv2.Code_CODE_OK:              ldlmv2.Ending_ENDING_UNSPECIFIED,
		ldlmv2.Code_CODE_QUEUED:          ldlmv2.Ending_ENDING_UNSPECIFIED,
		ldlmv2.Code_CODE_HELD:            ldlmv2.Ending_ENDING_REFUSED,
		ldlmv2.Code_CODE_INVALID:         ldlmv2.Ending_ENDING_REFUSED,
		ldlmv2.Code_CODE_UNAVAILABLE:     ldlmv2.Ending_ENDING_REFUSED,
		ldlmv2.Code_CODE_UNKNOWN_OUTCOME: ldlmv2.Ending_ENDING_UNKNOWN,
		ldlmv2.Code_CODE_INTERNAL:        ldlmv2.Ending_ENDING_UNKNOWN,
		ldlmv2.Code_CODE_SESSION_LOST:    ldlmv2.Ending_ENDING_FATAL,
		ldlmv2.Code_CODE_SUPERSEDED:      ldlmv2.Ending_ENDING_FATAL,
		ldlmv2.Code_CODE_PROTOCOL:        ldlmv2.Ending_ENDING_FATAL,
	}
	for code, want := range tests {
		if got := NewStatus(code, "").Ending; got != want {
			t.Errorf("%v ends as %v, want %v", code, got, want)
		}
	}
}
