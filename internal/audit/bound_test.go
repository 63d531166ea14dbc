package audit

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// So many lines are written within a second, one about each client; others are counted,
// and the next line tells how many they were.
func TestBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Bound{}
		admit := func(client string, want bool, suppressed int) {
			t.Helper()
			if n, ok := b.Admit(client); ok != want || n != suppressed {
				t.Errorf("%q: %v after %d, want %v after %d", client, ok, n, want, suppressed)
			}
		}
		admit("a", true, 0)
		admit("a", false, 0)
		admit("a", false, 0)
		admit("b", true, 2)
		for range maxLines - 3 {
			admit("", true, 0)
		}
		admit("c", true, 0)
		admit("", false, 0)
		admit("d", false, 0)
		<-time.After(lineWindow)
		admit("a", true, 2)
		for i := range 3 * maxLines {
			b.Admit(strconv.Itoa(i))
		}
		if n := len(b.clients); n > maxLines {
			t.Errorf("%d clients are remembered", n)
		}
		if n := b.Take(); n != 2*maxLines+1 {
			t.Errorf("%d were not written", n)
		}
		if n := b.Take(); n != 0 {
			t.Errorf("and %d more", n)
		}
	})
}
