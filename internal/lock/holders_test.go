package lock

import (
	"slices"
	"testing"
)

// TestHoldersPages: all holds of a lock are read page by page, in the order of
// their grants, whatever ends between two pages, the last hold read included.
func TestHoldersPages(t *testing.T) {
	const holds, page = 120, 7
	table := New()
	var tokens []Token
	for i := range holds {
		o := one(table, &Acquire{
			Items: []Item{{Name: "a", Size: holds}}, Lease: Minute, Key: Key{1, byte(i)},
		})
		if o.Code != OK {
			t.Fatalf("acquire: %v", o.Code)
		}
		tokens = append(tokens, o.Token)
	}
	var got []Token
	for after := Token(0); ; {
		views := table.Holders("a", after, page)
		if len(views) == 0 {
			break
		}
		for _, v := range views {
			got = append(got, v.Token)
		}
		after = got[len(got)-1]
		if i := slices.Index(tokens, after); i%2 == 0 {
			one(table, &Release{Hold: Hold{Name: "a", Key: Key{1, byte(i)}}})
		}
	}
	if !slices.Equal(got, tokens) {
		t.Errorf("pages show %v\nof %v", got, tokens)
	}
	if views := table.Holders("b", 0, page); len(views) != 0 {
		t.Errorf("a lock that does not exist has holders: %v", views)
	}
}
