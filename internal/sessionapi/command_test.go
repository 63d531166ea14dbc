package sessionapi

import (
	"reflect"
	"strings"
	"testing"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/lock"
)

const keyText = "01234567-89ab-4def-8123-456789abcdef"

var (
	aKey    = lock.Key{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0x4d, 0xef, 0x81, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}
	aCaller = lock.Caller{Session: 1, Attach: 2, Slot: 3, Seq: 4}
)

func TestReadAcquire(t *testing.T) {
	c := lock.Acquire{Caller: aCaller, Key: lock.Key{1}, Items: []lock.Item{{Name: "old"}, {Name: "older"}}, Lease: 5}
	ReadAcquire(&c, &ldlmv2.Acquire{
		Name: "a", Size: 3, Permits: 2, Mode: ldlmv2.Mode_MODE_SHARED, WaitUs: -1, LeaseUs: 7, LockDelayUs: 8,
		Note: &ldlmv2.Note{Reason: "why", Labels: map[string]string{"b": "2", "a": "1", "c": "3"}, Value: []byte("v")},
	})
	want := lock.Acquire{
		Caller: aCaller, Items: []lock.Item{{Name: "a", Size: 3, Permits: 2, Mode: lock.Shared}},
		Wait: lock.Forever, Lease: 7, LockDelay: 8,
		Note: &lock.Note{Reason: "why", Labels: []lock.Label{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}, {Key: "c", Value: "3"}}, Value: []byte("v")},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("read as %+v, want %+v", c, want)
	}
	ReadAcquire(&c, &ldlmv2.Acquire{Name: "b", Note: &ldlmv2.Note{}})
	if want := (lock.Acquire{Caller: aCaller, Items: []lock.Item{{Name: "b"}}}); !reflect.DeepEqual(c, want) {
		t.Errorf("read over an older one as %+v, want %+v", c, want)
	}
}

func TestReadAcquireAll(t *testing.T) {
	c := lock.Acquire{Caller: aCaller}
	ReadAcquireAll(&c, &ldlmv2.AcquireAll{
		Items:  []*ldlmv2.Item{{Name: "a", Size: 3, Permits: 2}, {Name: "b", Mode: ldlmv2.Mode_MODE_SHARED}, {Name: "c", Mode: 77}},
		WaitUs: 6, LeaseUs: 7, LockDelayUs: 8, Note: &ldlmv2.Note{Value: []byte{1}},
	})
	want := lock.Acquire{
		Caller: aCaller, Items: []lock.Item{{Name: "a", Size: 3, Permits: 2}, {Name: "b", Mode: lock.Shared}, {Name: "c", Mode: noMode}},
		Wait: 6, Lease: 7, LockDelay: 8, Note: &lock.Note{Value: []byte{1}},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("read as %+v, want %+v", c, want)
	}
}

func TestReadHolds(t *testing.T) {
	release := lock.Release{Caller: aCaller}
	ReadRelease(&release, &ldlmv2.Release{Name: "a", Token: 5, Key: keyText, All: true})
	if want := (lock.Release{Caller: aCaller, Hold: lock.Hold{Name: "a", Token: 5, Key: aKey, All: true}}); release != want {
		t.Errorf("release read as %+v, want %+v", release, want)
	}
	renew := lock.Renew{Caller: aCaller}
	ReadRenew(&renew, &ldlmv2.Renew{Name: "a", Token: 5, LeaseUs: -9, All: true})
	if want := (lock.Renew{Caller: aCaller, Hold: lock.Hold{Name: "a", Token: 5, All: true}, Lease: -9}); renew != want {
		t.Errorf("renewal read as %+v, want %+v", renew, want)
	}
	downgrade := lock.Downgrade{Caller: aCaller}
	ReadDowngrade(&downgrade, &ldlmv2.Downgrade{Name: "a", Token: 5})
	if want := (lock.Downgrade{Caller: aCaller, Hold: lock.Hold{Name: "a", Token: 5}}); downgrade != want {
		t.Errorf("downgrade read as %+v, want %+v", downgrade, want)
	}
	set := lock.SetValue{Caller: aCaller}
	ReadSetValue(&set, &ldlmv2.SetValue{Name: "a", Token: 5, Value: []byte("v")})
	if want := (lock.SetValue{Caller: aCaller, Hold: lock.Hold{Name: "a", Token: 5}, Value: []byte("v")}); !reflect.DeepEqual(set, want) {
		t.Errorf("value read as %+v, want %+v", set, want)
	}
}

func TestReadingOverAnOlderCommandLeavesNothing(t *testing.T) {
	release := lock.Release{Hold: lock.Hold{All: true, Key: aKey}}
	ReadRelease(&release, &ldlmv2.Release{Name: "a"})
	renew := lock.Renew{Hold: lock.Hold{All: true}, Lease: 5}
	ReadRenew(&renew, &ldlmv2.Renew{Name: "a"})
	set := lock.SetValue{Value: []byte("old")}
	ReadSetValue(&set, &ldlmv2.SetValue{Name: "a"})
	want := lock.Hold{Name: "a"}
	if release.Hold != want || renew.Hold != want || renew.Lease != 0 || set.Hold != want || set.Value != nil {
		t.Errorf("something is left: %+v, %+v, %+v", release, renew, set)
	}
}

func TestParseKey(t *testing.T) {
	tests := []struct {
		text string
		want lock.Key
	}{
		{"", lock.Key{}},
		{keyText, aKey},
		{aKey.String(), aKey},
		{strings.ToUpper(keyText), foreignKey},
		{keyText[1:], foreignKey},
		{keyText + "0", foreignKey},
		{strings.ReplaceAll(keyText, "-", "0"), foreignKey},
		{"g" + keyText[1:], foreignKey},
		{strings.Repeat("é", 18), foreignKey},
		{"00000000-0000-0000-0000-000000000000", lock.Key{}},
	}
	for _, tt := range tests {
		if got := ParseKey(tt.text); got != tt.want {
			t.Errorf("%q is key %v, want %v", tt.text, got, tt.want)
		}
	}
	if foreignKey == (lock.Key{}) {
		t.Error("the key of nothing counts as no key")
	}
}

func TestReadInfo(t *testing.T) {
	m := &ldlmv2.ClientInfo{
		Host: "h", Pid: 1, User: "u", Program: "p", Library: "l", Labels: map[string]string{"k": "v"},
		Remote: "made up", Transport: "made up",
	}
	got := ReadInfo(m)
	want := &lock.Info{Host: "h", PID: 1, User: "u", Program: "p", Library: "l", Labels: []lock.Label{{Key: "k", Value: "v"}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read as %+v, want %+v", got, want)
	}
	if got := ReadInfo(nil); !reflect.DeepEqual(got, &lock.Info{}) {
		t.Errorf("nothing is read as %+v", got)
	}
}
