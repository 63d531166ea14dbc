package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// snapshot copies the table by way of the contract.
func (h *house) snapshot() (chunks [][]byte) {
	h.t.Helper()
	next, done, err := h.desk.machine.Snapshot()
	if err != nil {
		h.t.Fatal(err)
	}
	defer done()
	for {
		chunk, err := next()
		if err != nil {
			h.t.Fatal(err)
		}
		if chunk == nil {
			return chunks
		}
		chunks = append(chunks, append([]byte(nil), chunk...))
	}
}

func chunkReader(chunks [][]byte) func() ([]byte, error) {
	return func() ([]byte, error) {
		if len(chunks) == 0 {
			return nil, nil
		}
		chunk := chunks[0]
		chunks = chunks[1:]
		return chunk, nil
	}
}

func (n *Node) hash() lock.Hash {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.table.Hash()
}

// A table goes through a snapshot unchanged, whatever is applied while it is read.
func TestSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		h.acquire(l, 0, "a")
		h.submit(l, queue(l, 1, 1, "a"))
		synctest.Wait() // the first beat
		want := h.hash()
		next, done, err := h.desk.machine.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		defer done()
		h.pairs(l, "b", 10)
		other := openHouse(t, Config{})
		if err := other.desk.machine.Restore(next); err != nil {
			t.Fatal(err)
		}
		if got := other.hash(); got != want {
			t.Errorf("restored hash %x, want %x", got, want)
		}
		other.wantHeld("a", 1, 1)
	})
}

// When the table is replaced, nobody knows what happened in between: waiters
// ask again, links end and their sessions are detached, watchers are reset; and
// the new table's deadlines are kept.
func TestRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		proof := lock.SecretHash{7}
		s := h.call(&lock.Open{Secret: proof, TTL: lock.Minute})
		c := lock.Caller{Session: s.Session, Proof: &proof, RequestID: "mine", Attempt: 1}
		l := h.link(1)
		o := h.acquire(l, 0, "a")
		h.call(outside("leased", "", 10*time.Second, 0))
		waiting := h.goCall(context.Background(), &lock.Acquire{
			Caller: c, Items: []lock.Item{{Name: "a"}}, Wait: lock.Minute,
		})
		h.wantHeld("a", 1, 1)
		still := h.snapshot()
		h.submit(l, release(l, 0, 2, "a", o.Token))
		if got := <-waiting; got.o.Code != lock.OK {
			t.Fatalf("the waiter got %+v", got)
		}
		granted := h.snapshot()

		// Back to where it waits, with a Call that waits: it goes on waiting.
		restore(t, h, still)
		h.wantHeld("a", 1, 1)
		<-l.Ended()
		wantError(t, l.Reason(), ErrDetached)
		synctest.Wait()
		if v := h.session(l.Session()); v.Attached {
			t.Error("the session without a link is still attached")
		}
		waiting = h.goCall(context.Background(), &lock.Acquire{
			Caller: c, Items: []lock.Item{{Name: "a"}}, Wait: lock.Minute,
		})
		w := h.watch(WatchFilter{}, 0)
		restore(t, h, still)
		synctest.Wait()
		if len(waiting) != 0 {
			t.Error("a request that still waits was answered")
		}
		_, err := w.Next(context.Background())
		wantError(t, err, ErrReset)

		// On to where it was granted: the Call learns of it.
		restore(t, h, granted)
		if got := <-waiting; got.err != nil || got.o.Code != lock.OK {
			t.Errorf("the waiter got %+v, want the grant that it missed", got)
		}
		expired := h.watchForExpiry("leased")
		start := time.Now()
		expired()
		if got := time.Since(start); got != 10*time.Second {
			t.Errorf("the lease in the snapshot ended after %v, want 10s", got)
		}
	})
}

// A deadline that comes with a restored table wakes a timekeeper that sleeps
// without one.
func TestRestoreWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := openHouse(t, Config{}), openHouse(t, Config{StallLimit: time.Hour})
		elapse(time.Minute)
		from.call(outside("a", "", 10*time.Second, 0))
		restore(t, to, from.snapshot())
		expired := to.watchForExpiry("a")
		start := time.Now()
		expired()
		if got := time.Since(start); got != 10*time.Second {
			t.Errorf("the lease ended after %v, want 10s", got)
		}
	})
}

func restore(t *testing.T, h *house, chunks [][]byte) {
	t.Helper()
	h.desk.mu.Lock()
	defer h.desk.mu.Unlock()
	if err := h.desk.machine.Restore(chunkReader(chunks)); err != nil {
		t.Fatal(err)
	}
}

// Watchers of a restored table begin with its next event, and cannot go on from
// an event before it.
func TestWatchAfterRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		h.pairs(l, "a", 10)
		restore(t, h, h.snapshot())
		w := h.watch(WatchFilter{Name: "b"}, 0)
		if _, err := h.Watch(WatchFilter{}, 5); !errors.Is(err, ErrReset) {
			t.Errorf("after an event before the restore: %v", err)
		}
		synctest.Wait() // the stray session is detached: an event that w did not ask for
		h.call(outside("b", "", time.Second, 0))
		events := next(t, w)
		if len(events) != 1 || events[0].Type != lock.HoldAcquired {
			t.Errorf("got %q", types(events))
		}
		h.call(outside("c", "", time.Second, 0))
		synctest.Wait()
		all := h.watch(WatchFilter{}, events[0].Number-1)
		if got, want := types(next(t, all)), fmt.Sprintf("%[1]d:b %[1]d:c ", lock.HoldAcquired); got != want {
			t.Errorf("after the restore: got %q, want %q", got, want)
		}
	})
}

// What is no snapshot leaves the table as it was.
func TestRestoreRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		l := h.link(1)
		h.acquire(l, 0, "a")
		synctest.Wait() // the first beat
		want, whole := h.hash(), h.snapshot()
		cut := errors.New("cut off")
		last := whole[len(whole)-1]
		for name, next := range map[string]func() ([]byte, error){
			"nothing":   chunkReader(nil),
			"garbage":   chunkReader([][]byte{[]byte("garbage, and more of it")}),
			"truncated": chunkReader([][]byte{last[:len(last)-3]}),
			"broken":    func() ([]byte, error) { return nil, cut },
		} {
			h.desk.mu.Lock()
			err := h.desk.machine.Restore(next)
			h.desk.mu.Unlock()
			if err == nil {
				t.Errorf("%s: restored", name)
			}
			if name == "broken" {
				wantError(t, err, cut)
			}
		}
		if got := h.hash(); got != want {
			t.Errorf("the table has changed to hash %x from %x", got, want)
		}
		if err := l.Reason(); err != nil {
			t.Errorf("the link ended: %v", err)
		}
	})
}

// A batch goes through its encoded form unchanged; what is none is refused.
func TestBatchEncoding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		a := outside("a", "", time.Second, 0)
		a.Key = lock.Key{1}
		h.desk.elsewhere(t, a, &lock.Mark{})
		h.wantHeld("a", 1, 0)
		if _, err := h.desk.machine.Decode([]byte("garbage")); err == nil {
			t.Error("garbage was decoded")
		}
	})
}

var _ journal.Batch = (*batch)(nil)

// A snapshot that a newer version has written says so: then the version is to be changed, and
// nothing is wrong with the snapshot.
func TestNewerSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, Config{})
		const magic = "LDLMsnap" // the number of the format follows
		restored := func(format byte) error {
			chunks := h.snapshot()
			at := bytes.Index(chunks[0], []byte(magic))
			if at < 0 {
				t.Fatalf("the snapshot does not begin with %s", magic)
			}
			chunks[0][at+len(magic)] = format
			return h.desk.machine.Restore(chunkReader(chunks))
		}
		wantError(t, restored(lock.FormatLevel+1), journal.ErrNewer, lock.ErrNewerFormat)
		if err := restored(0); err == nil || errors.Is(err, journal.ErrNewer) {
			t.Errorf("a snapshot without a format: %v", err)
		}
	})
}
