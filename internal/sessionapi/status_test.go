package sessionapi

import (
	"strings"
	"testing"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/lock"
)

func TestMessagesSayWhoAndWhatNext(t *testing.T) {
	holder := &lock.HoldView{
		Session: 7, Info: &lock.Info{Program: "billing", Host: "web1", PID: 12}, Token: 99,
		Key: lock.Key{0xab, 0xcd}, Permits: 1, Age: 65_432_100, LeaseLeft: 1_234_567,
		Note: &lock.Note{Reason: "monthly run", Value: []byte("secret plans")},
	}
	blocker := &lock.Blocker{Name: "invoice/77", Holder: holder, Holders: 2, Waiting: 3, LongestWait: 4_321_000}
	tests := []struct {
		name  string
		o     lock.Outcome
		wants []string
	}{
		{"held", lock.Outcome{Code: lock.Held, Blocker: blocker},
			[]string{`lock "invoice/77"`, "billing at web1 (pid 12), session 7", "for 1m5s", "2 holders", "3 waiting", "first for 4.3s", "try again later"}},
		{"held by who says nothing", lock.Outcome{Code: lock.Held, Blocker: &lock.Blocker{Name: "a", Holder: &lock.HoldView{Session: 1, Info: &lock.Info{Remote: "10.0.0.1:5"}}}},
			[]string{"held by a client at 10.0.0.1:5, session 1, for 0s"}},
		{"held outside sessions", lock.Outcome{Code: lock.Held, Blocker: &lock.Blocker{Name: "a", Holder: &lock.HoldView{Age: 1500}}},
			[]string{"is held outside sessions for 2ms"}},
		{"shut after a hold", lock.Outcome{Code: lock.Held, Blocker: &lock.Blocker{Name: "a", Holder: &lock.HoldView{Delay: true, LeaseLeft: 3 * lock.Second}}},
			[]string{"is shut for 3s"}},
		{"held by itself", lock.Outcome{Code: lock.Held, Self: true, Blocker: blocker}, []string{"this very session"}},
		{"wait over", lock.Outcome{Code: lock.WaitTimeout, Blocker: blocker}, []string{"in time", "billing", "longer wait"}},
		{"only waited for", lock.Outcome{Code: lock.Held, Blocker: &lock.Blocker{Name: "a", Waiting: 1, LongestWait: 5}},
			[]string{"waited for by others", "first for 5µs"}},
		{"shut", lock.Outcome{Code: lock.Held, Blocker: &lock.Blocker{Name: "a", DelayLeft: 3 * lock.Second}}, []string{"shut for 3s"}},
		{"nothing known", lock.Outcome{Code: lock.Held}, []string{"not free"}},
		{"nothing to name", lock.Outcome{Code: lock.Held, Blocker: &lock.Blocker{Name: "a"}}, []string{`"a" is not free`}},
		{"a long name", lock.Outcome{Code: lock.Held, Blocker: &lock.Blocker{Name: strings.Repeat("é", 1000)}}, []string{"é…\" is"}},
		{"invalid", lock.Outcome{Code: lock.Invalid, Field: lock.FieldName, Limit: 65_536}, []string{"invalid name", "UTF-8", "limit 65536"}},
		{"limit", lock.Outcome{Code: lock.Limit, Field: lock.FieldWaitersPerLock, Limit: 10}, []string{"waiting requests of a lock", "limit 10", "raised"}},
		{"another size", lock.Outcome{Code: lock.SizeMismatch, Limit: 3}, []string{"size 3", "size 0"}},
		{"cancelled", lock.Outcome{Code: lock.Canceled, Reason: lock.GivenBack}, []string{"cancelled"}},
		{"resized away", lock.Outcome{Code: lock.Canceled, Reason: lock.Resized}, []string{"resized", "fewer"}},
		{"ended", lock.Outcome{Code: lock.Ended, Reason: lock.Expired}, []string{"lease was over", "next seq"}},
		{"quiet", lock.Outcome{Code: lock.Quiet, Limit: int64(90 * lock.Second)}, []string{"1m30s more"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := StatusOf(&tt.o).Message
			for _, want := range tt.wants {
				if !strings.Contains(got, want) {
					t.Errorf("message %q does not say %q", got, want)
				}
			}
			if strings.Contains(got, "secret plans") || strings.Contains(got, "abcd0000-") {
				t.Errorf("message %q tells too much", got)
			}
			if len(got) > 500 {
				t.Errorf("message has %d bytes", len(got))
			}
		})
	}
}

func TestStatusHasTheDetails(t *testing.T) {
	o := lock.Outcome{
		Code: lock.WaitTimeout, Self: true, Reason: lock.TimedOut, Field: lock.FieldWait, Limit: 5,
		Blocker: &lock.Blocker{Name: "a", Holders: 1, Holder: &lock.HoldView{Token: 9, LeaseLeft: -1}},
	}
	s := StatusOf(&o)
	if s.Code != ldlmv2.Code_CODE_WAIT_TIMEOUT || s.Field != "wait_us" || s.Limit != 5 || s.Ended != ldlmv2.EndReason_END_REASON_TIMEOUT {
		t.Errorf("status %v", s)
	}
	if b := s.Blocker; !b.GetSelf() || b.GetName() != "a" || b.GetHolder().GetToken() != 9 || b.GetHolder().GetLeaseLeftUs() != -1 {
		t.Errorf("blocker %v", b)
	}
}
