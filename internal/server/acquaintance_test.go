package server

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/cluster"
)

// Another member that does not answer is in the log once, with the reason, when it has not for
// a while; and once when it answers again.
func TestSilenceIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		m := &membership{log: slog.New(slog.NewTextHandler(&log, nil)), ctx: t.Context(), met: map[string]*acquaintance{}}
		lines := func(what string, silent, again int) {
			t.Helper()
			text := log.String()
			if n := strings.Count(text, "does not answer"); n != silent {
				t.Errorf("%s: the log has %d times that it does not answer, want %d: %s", what, n, silent, text)
			}
			if n := strings.Count(text, "answers again"); n != again {
				t.Errorf("%s: the log has %d times that it answers again, want %d: %s", what, n, again, text)
			}
		}
		silence := func(d time.Duration) {
			for end := time.Now().Add(d); !time.Now().After(end); <-time.After(acquaintEvery) {
				m.remember("b", acquaintance{err: fmt.Errorf("%w: lookup h2: no such host", cluster.ErrNotAsked)})
			}
		}
		m.remember("b", acquaintance{heard: time.Now()})
		silence(silentFor - acquaintEvery)
		lines("a short silence", 0, 0)
		m.remember("b", acquaintance{heard: time.Now()})
		lines("after a short silence", 0, 0)
		silence(10 * silentFor)
		lines("a long silence", 1, 0)
		if !strings.Contains(log.String(), `err="lookup h2: no such host"`) {
			t.Errorf("the reason is not there: %s", log.String())
		}
		m.remember("b", acquaintance{heard: time.Now()})
		lines("after a long silence", 1, 1)
		silence(silentFor)
		lines("another silence", 2, 1)
	})
}

// Who is in the list of a member no more that knows who leads, and is ahead, was removed. The
// word of one that is behind, or cut off as well, says nothing.
func TestDisowns(t *testing.T) {
	listed := []cluster.Info{{Member: "a"}, {Member: "b"}}
	for _, c := range []struct {
		name string
		said cluster.Status
		want bool
	}{
		{"it leads, and lists others", cluster.Status{Leader: "b", Entry: 11, Members: listed[1:]}, true},
		{"it lists this one", cluster.Status{Leader: "b", Entry: 11, Members: listed}, false},
		{"it knows of no leader", cluster.Status{Entry: 11, Members: listed[1:]}, false},
		{"it is not ahead", cluster.Status{Leader: "b", Entry: 10, Members: listed[1:]}, false},
		{"it has nothing yet", cluster.Status{}, false},
	} {
		if got := disowns(&c.said, "a", 10); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
