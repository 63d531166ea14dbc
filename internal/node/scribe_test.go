package node

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/logtest"
)

// diary keeps what is logged.
type diary struct {
	logtest.Log
	read int // so many lines
}

// lines returns what was logged since the last call, as message and attributes.
func (d *diary) lines(t *testing.T) []map[string]any {
	t.Helper()
	all := d.Lines(t)[d.read:]
	d.read += len(all)
	for _, line := range all {
		delete(line, "time")
		delete(line, "level")
	}
	return all
}

// messages are those of lines that the scribe wrote.
func (d *diary) messages(t *testing.T) string {
	t.Helper()
	var all []string
	for _, line := range d.lines(t) {
		if name, ok := line["lock"].(string); ok {
			all = append(all, line["msg"].(string)+" "+name)
		} else if n, ok := line["num_locks"].(float64); ok {
			all = append(all, line["msg"].(string)+" "+string(rune('0'+int(n)))+" "+line["reason"].(string))
		} else if n, ok := line["rest_session_id"].(float64); ok {
			all = append(all, fmt.Sprint(line["msg"], " ", n))
		}
	}
	return strings.Join(all, "\n")
}

func TestScribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &diary{}
		h := openHouse(t, Config{Logger: log.JSON(slog.LevelInfo)})
		want := func(what, text string) {
			t.Helper()
			synctest.Wait()
			if got := log.messages(t); got != text {
				t.Errorf("%s: logged\n%s\nwant\n%s", what, got, text)
			}
		}
		l := h.link(1)
		o := h.acquire(l, 0, "a")
		h.submit(l, release(l, 0, 2, "a", o.Token))
		want("a grant and a release", "")

		a := ask(l, 0, 3, "a")
		a.Lease = lock.Second
		h.submit(l, a)
		elapse(2 * time.Second)
		want("a lease", "Lock timer timeout a")

		l.Take(nil)
		h.acquire(l, 1, "a")
		o = h.acquire(l, 2, "b")
		h.call(&lock.ForceRelease{Name: "b", Token: o.Token, Reason: "why not"})
		want("force", "Lock released by force b")

		l.Take(nil)
		h.acquire(l, 3, "c")
		l.Detach(0, true)
		elapse(time.Minute)
		want("a session that ended", "Client session cleanup 2 session_expired\n"+
			"Unlocked during client session cleanup a\nUnlocked during client session cleanup c")

		l = h.linkAs(&lock.Open{Secret: lock.SecretHash{2}, OnEnd: lock.OnEndAlways})
		l.Detach(0, true)
		want("a session that was closed with nothing", "")

		l = h.linkAs(&lock.Open{Secret: lock.SecretHash{3}, OnEnd: lock.OnEndAlways})
		h.acquire(l, 0, "d")
		l.Detach(0, true)
		want("a session that was closed with a lock", "Client session cleanup 1 session_closed\nUnlocked during client session cleanup d")

		rest := &lock.Info{Transport: "rest"}
		o = h.call(&lock.Open{Secret: lock.SecretHash{4}, TTL: 3 * lock.Second, Info: rest})
		elapse(4 * time.Second)
		want("a REST session that was left alone", fmt.Sprintf("REST session timeout %d\nClient session cleanup 0 session_expired", o.Session))
		closed := lock.SecretHash{5}
		h.call(&lock.Open{Secret: closed, TTL: 3 * lock.Second, Info: rest})
		h.call(&lock.Close{Caller: lock.Caller{Proof: &closed}})
		want("one that was closed", "")
	})
}

// A line says which lock and whose, and no more of a key than may be shown.
func TestScribeKeepsSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &diary{}
		h := openHouse(t, Config{Logger: log.JSON(slog.LevelInfo)})
		l := h.link(1)
		a := ask(l, 0, 1, "a")
		a.Lease = lock.Second
		key := h.submit(l, a)[0].Outcome.Key
		elapse(2 * time.Second)
		var line map[string]any
		for _, line = range log.lines(t) {
			if line["msg"] == "Lock timer timeout" {
				break
			}
		}
		if line["lock"] != "a" || line["key"] != key.Short() || line["session_id"] != float64(l.Session()) || line["held"] != "1s" {
			t.Errorf("got %v, the key is %v", line, key)
		}
	})
}

// At a level that leaves the lines out nothing is kept for them; and where more
// ends than is kept, that is said.
func TestScribeIsBounded(t *testing.T) {
	log := &diary{}
	s := newScribe(log.JSON(slog.LevelWarn))
	expired := []lock.Event{{Type: lock.HoldAcquired}, {Type: lock.HoldExpired, Reason: lock.Expired, Name: "a"}}
	if s.take(context.Background(), expired); len(s.notes) != 0 {
		t.Error("something is noted that is not logged")
	}
	s.log = log.JSON(slog.LevelInfo)
	for range maxNotes + 3 {
		s.take(context.Background(), expired)
	}
	if len(s.notes) != maxNotes {
		t.Errorf("%d notes are kept", len(s.notes))
	}
	s.write(context.Background())
	lines := log.lines(t)
	if last := lines[len(lines)-1]; len(lines) != maxNotes+1 || last["missing"] != 3.0 {
		t.Errorf("%d lines, the last one is %v", len(lines), lines[len(lines)-1])
	}
}

// What other members proposed is theirs to log, and what is read again from an
// earlier life is old.
func TestScribeLogsOwnEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &diary{}
		h := openHouse(t, Config{Logger: log.JSON(slog.LevelInfo)})
		l := h.link(1)
		o := h.acquire(l, 0, "a")
		b := newBatch(&lock.ForceRelease{Name: "a", Token: o.Token})
		b.foreign = true
		if err := h.propose(context.Background(), b); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := log.messages(t); got != "" {
			t.Errorf("logged: %s", got)
		}
		if v, _, _ := h.Lookup(context.Background(), "a"); v.Held != 0 {
			t.Fatal("the lock is still held")
		}
	})
}

func TestCollectionIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &diary{}
		h := openHouse(t, Config{Logger: log.JSON(slog.LevelInfo), CollectEvery: time.Minute, CollectIdle: time.Second})
		h.leaveIdle(h.link(1), 1500, "idle")
		elapse(3 * time.Minute)
		found := 0
		for _, line := range log.lines(t) {
			if strings.HasPrefix(line["msg"].(string), "Lock garbage collection") {
				found++
				if line["msg"] != "Lock garbage collection cleared 1500 locks" {
					t.Errorf("got %v", line)
				}
			}
		}
		if found != 1 {
			t.Errorf("%d lines of collections, want one", found)
		}
	})
}

// What an entry that grants and releases pays for the scribe, who has nothing to
// write then.
func BenchmarkScribeTakesNothing(b *testing.B) {
	s := newScribe((&diary{}).JSON(slog.LevelInfo))
	events := []lock.Event{{Type: lock.HoldReleased, Reason: lock.Released}, {Type: lock.HoldAcquired}}
	for b.Loop() {
		s.take(b.Context(), events)
	}
}
