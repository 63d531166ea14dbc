package sessionapi_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

// opOf returns an acquire that is changed by f.
func opOf(f func(a *ldlmv2.Acquire)) *ldlmv2.Op {
	op := acquire(0, 1, "x", 0)
	f(op.Acquire)
	return op
}

// badOperation is an operation that is refused, and how.
type badOperation struct {
	name  string
	op    *ldlmv2.Op
	code  ldlmv2.Code
	field string
	limit int64
}

func badOperations() []badOperation {
	const (
		invalid = ldlmv2.Code_CODE_INVALID
		limit   = ldlmv2.Code_CODE_LIMIT
	)
	name := func(s string) *ldlmv2.Op { return opOf(func(a *ldlmv2.Acquire) { a.Name = s }) }
	longest := int64(1 << 32 * 1_000_000)
	return []badOperation{
		{"nothing asked", &ldlmv2.Op{Seq: 1}, ldlmv2.Code_CODE_UNSUPPORTED, "", 0},
		{"two things asked", &ldlmv2.Op{Seq: 1, Acquire: &ldlmv2.Acquire{Name: "x"}, Release: &ldlmv2.Release{Name: "x"}}, invalid, "ops", 0},
		{"empty name", name(""), invalid, "name", 65_536},
		{"long name", name(strings.Repeat("n", 65_537)), invalid, "name", 65_536},
		{"name not UTF-8", name("a\xff"), invalid, "name", 65_536},
		{"huge size", opOf(func(a *ldlmv2.Acquire) { a.Size = 1 << 31 }), invalid, "size", 1<<31 - 1},
		{"more permits than size", opOf(func(a *ldlmv2.Acquire) { a.Size, a.Permits = 2, 3 }), invalid, "permits", 2},
		{"many permits of a new lock", opOf(func(a *ldlmv2.Acquire) { a.Permits = 2 }), invalid, "permits", 1},
		{"mode of the future", opOf(func(a *ldlmv2.Acquire) { a.Mode = 3 }), invalid, "mode", 0},
		{"negative mode", opOf(func(a *ldlmv2.Acquire) { a.Mode = -1 }), invalid, "mode", 0},
		{"shared with a size", opOf(func(a *ldlmv2.Acquire) { a.Mode, a.Size = ldlmv2.Mode_MODE_SHARED, 2 }), invalid, "mode", 1},
		{"negative wait", opOf(func(a *ldlmv2.Acquire) { a.WaitUs = -2 }), invalid, "wait_us", longest},
		{"endless wait", opOf(func(a *ldlmv2.Acquire) { a.WaitUs = 1<<63 - 1 }), invalid, "wait_us", longest},
		{"negative lease", opOf(func(a *ldlmv2.Acquire) { a.LeaseUs = -1 }), invalid, "lease_us", longest},
		{"endless lease", opOf(func(a *ldlmv2.Acquire) { a.LeaseUs = 1<<63 - 1 }), invalid, "lease_us", longest},
		{"negative lock delay", opOf(func(a *ldlmv2.Acquire) { a.LockDelayUs = -1 }), invalid, "lock_delay_us", 60_000_000},
		{"long lock delay", opOf(func(a *ldlmv2.Acquire) { a.LockDelayUs = 60_000_001 }), invalid, "lock_delay_us", 60_000_000},
		{"reason not UTF-8", opOf(func(a *ldlmv2.Acquire) { a.Note = &ldlmv2.Note{Reason: "\xff"} }), invalid, "reason", 1024},
		{"long value", opOf(func(a *ldlmv2.Acquire) { a.Note = &ldlmv2.Note{Value: make([]byte, 4097)} }), invalid, "value", 4096},
		{"label without a key", opOf(func(a *ldlmv2.Acquire) { a.Note = &ldlmv2.Note{Labels: map[string]string{"": "v"}} }), invalid, "labels", 512},
		{"no names", &ldlmv2.Op{Seq: 1, AcquireAll: &ldlmv2.AcquireAll{}}, invalid, "items", 64},
		{"a name twice", &ldlmv2.Op{Seq: 1, AcquireAll: &ldlmv2.AcquireAll{Items: []*ldlmv2.Item{{Name: "a"}, {Name: "a"}}}}, invalid, "items", 0},
		{"too many names", &ldlmv2.Op{Seq: 1, AcquireAll: &ldlmv2.AcquireAll{Items: make65()}}, invalid, "items", 64},
		{"release of no lock", release(0, 1, "y", 5), ldlmv2.Code_CODE_NOT_FOUND, "", 0},
		{"release of another's token", release(0, 1, "held", 5), ldlmv2.Code_CODE_WRONG_KEY, "", 0},
		{"release by a key that is none", &ldlmv2.Op{Seq: 1, Release: &ldlmv2.Release{Name: "held", Key: "key"}}, ldlmv2.Code_CODE_WRONG_KEY, "", 0},
		{"release by neither", &ldlmv2.Op{Seq: 1, Release: &ldlmv2.Release{Name: "held"}}, ldlmv2.Code_CODE_WRONG_KEY, "", 0},
		{"release of a name not UTF-8", release(0, 1, "\xff", 5), ldlmv2.Code_CODE_NOT_FOUND, "", 0},
		{"another size", opOf(func(a *ldlmv2.Acquire) { a.Name, a.Size = "held", 3 }), ldlmv2.Code_CODE_SIZE_MISMATCH, "size", 1},
		{"held", opOf(func(a *ldlmv2.Acquire) { a.Name = "held" }), held, "", 0},
		{"slot beyond the last", acquire(65_536, 1, "x", 0), limit, "slot", 65_536},
		{"value of no hold", &ldlmv2.Op{Seq: 1, SetValue: &ldlmv2.SetValue{Name: "held", Token: 1}}, ldlmv2.Code_CODE_WRONG_KEY, "", 0},
		{"long value of the session", &ldlmv2.Op{Seq: 1, SetValue: &ldlmv2.SetValue{Value: make([]byte, 4097)}}, invalid, "value", 4096},
		{"downgrade of no hold", &ldlmv2.Op{Seq: 1, Downgrade: &ldlmv2.Downgrade{Name: "held", Token: 1}}, ldlmv2.Code_CODE_WRONG_KEY, "", 0},
		{"renewal for no time", &ldlmv2.Op{Seq: 1, Renew: &ldlmv2.Renew{Name: "held", Token: 1}}, ldlmv2.Code_CODE_WRONG_KEY, "", 0},
	}
}

func TestBadOperations(t *testing.T) {
	for _, tt := range badOperations() {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
				c, other := w.dial(), w.dial()
				other.secret = []byte("another secret, quite random")
				other.open()
				other.gets(ok, acquire(0, 1, "held", 0))
				c.open()
				before := w.node.Counts()
				a := c.gets(tt.code, tt.op)
				s := a.GetStatus()
				if s.GetCode() != tt.code || s.GetField() != tt.field || s.GetLimit() != tt.limit {
					t.Errorf("status %v, want %v, field %q, limit %d", s, tt.code, tt.field, tt.limit)
				}
				if s.GetEnding() != ldlmv2.Ending_ENDING_REFUSED || s.GetMessage() == "" {
					t.Errorf("ending %v, words %q", s.GetEnding(), s.GetMessage())
				}
				if got := w.node.Counts(); got.Holds != before.Holds || got.Waiters != before.Waiters {
					t.Errorf("something changed: %+v, before %+v", got, before)
				}
				// Asked again under the same seq it is refused again, and the next is free.
				if tt.op.GetSlot() == 0 {
					c.gets(tt.code, tt.op)
					c.gets(ok, acquire(0, 2, "free", 0))
				}
			})
		})
	}
}

func make65() []*ldlmv2.Item {
	var items []*ldlmv2.Item
	for i := range 65 {
		items = append(items, &ldlmv2.Item{Name: strings.Repeat("x", i+1)})
	}
	return items
}

func TestAnOperationOfTheFuture(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		c := w.dial()
		c.open()
		body := protowire.AppendBytes(protowire.AppendTag(nil, 900, protowire.BytesType), []byte("make tea"))
		op := append([]byte{0x08, 0x04, 0x10, 0x01}, body...) // slot 4, seq 1
		frame := protowire.AppendBytes(protowire.AppendTag(nil, 3, protowire.BytesType), op)
		if err := c.conn.WriteFrames(append([]byte{0, 0, 0, byte(len(frame))}, frame...)); err != nil {
			t.Fatal(err)
		}
		if a := c.answer(); a.GetCode() != ldlmv2.Code_CODE_UNSUPPORTED || a.GetSlot() != 4 || a.GetSeq() != 1 {
			t.Errorf("answered with %v", a)
		}
		c.gets(ok, acquire(4, 2, "x", 0))
	})
}

func TestARefusalDoesNotHideThatASlotIsMisused(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		a, b := w.dial(), w.dial()
		b.secret = []byte("another secret, quite random")
		a.open()
		b.open()
		got := a.gets(ok, acquire(0, 1, "x", 0))
		b.gets(queued, acquire(0, 1, "x", waitForever))
		b.gets(ldlmv2.Code_CODE_SLOT_MISUSED, &ldlmv2.Op{Seq: 1})
		a.gets(ldlmv2.Code_CODE_STALE, &ldlmv2.Op{Seq: 3})
		a.gets(ok, release(0, 2, "x", got.GetToken()))
		if g := b.answer(); g.GetCode() != ok {
			t.Errorf("the wait did not survive the misuse of its slot: %v", g)
		}
	})
}

func TestManyOperationsInOneFrame(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		c := w.dial()
		c.open()
		var ops []*ldlmv2.Op
		const many = 3000 // more than go to the node in one piece
		for i := range uint32(many) {
			ops = append(ops, acquire(i, 1, strings.Repeat("n", int(i%50)+1), 0))
		}
		c.ask(ops...)
		answers := 0
		for answers < many {
			for _, a := range c.next().GetAnswers() {
				if a.GetSlot() != uint32(answers) {
					t.Fatalf("answer %d is for slot %d", answers, a.GetSlot())
				}
				want := held
				if a.GetSlot() < 50 {
					want = ok
				}
				if a.GetCode() != want {
					t.Fatalf("slot %d is answered by %v, want %v", a.GetSlot(), a.GetCode(), want)
				}
				if want == held && !a.GetStatus().GetBlocker().GetSelf() {
					t.Fatalf("slot %d is not told that it holds the lock itself: %v", a.GetSlot(), a)
				}
				answers++
			}
		}
		c.quiet()
	})
}

func TestSeveralLocks(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		c := w.dial()
		c.open()
		all := func(seq uint64) *ldlmv2.Op {
			return &ldlmv2.Op{Seq: seq, AcquireAll: &ldlmv2.AcquireAll{Items: []*ldlmv2.Item{{Name: "a"}, {Name: "b"}}}}
		}
		got := c.gets(ok, all(1))
		if f := got.GetFences(); len(f) != 2 || f[0] != got.GetToken() || f[1] != got.GetToken() {
			t.Errorf("fences %v of token %d", f, got.GetToken())
		}
		c.gets(ok, &ldlmv2.Op{Seq: 2, Release: &ldlmv2.Release{Name: "b", Token: got.GetToken(), All: true}})
		if again := c.gets(ok, all(3)); again.GetToken() <= got.GetToken() {
			t.Errorf("token %d after %d", again.GetToken(), got.GetToken())
		}
	})
}

func TestCancel(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		a, b := w.dial(), w.dial()
		b.secret = []byte("another secret, quite random")
		a.open()
		b.open()
		got := a.gets(ok, acquire(0, 1, "x", 0))
		b.gets(queued, acquire(3, 1, "x", waitForever))
		b.ask(&ldlmv2.Op{Slot: 3, Seq: 1, Cancel: &ldlmv2.Cancel{}})
		for _, answer := range b.next().GetAnswers() {
			if answer.GetCode() != ldlmv2.Code_CODE_CANCELED || answer.GetSlot() != 3 || answer.GetSeq() != 1 {
				t.Errorf("cancelling is answered by %v", answer)
			}
		}
		a.gets(ok, release(0, 2, "x", got.GetToken()))
		b.quiet()
		// What was not seen yet is refused when it comes.
		b.gets(ldlmv2.Code_CODE_CANCELED, &ldlmv2.Op{Slot: 4, Seq: 1, Cancel: &ldlmv2.Cancel{}})
		b.gets(ldlmv2.Code_CODE_CANCELED, acquire(4, 1, "x", 0))
		b.gets(ok, acquire(4, 2, "x", 0))
	})
}

func TestLeaseRenewDowngradeAndValue(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		c := w.dial()
		c.open()
		got := c.gets(ok, opOf(func(a *ldlmv2.Acquire) { a.LeaseUs = 2_000_000 }))
		key := got.GetKey()
		<-time.After(1900 * time.Millisecond)
		c.gets(ok, &ldlmv2.Op{Seq: 2, Renew: &ldlmv2.Renew{Name: "x", Token: got.GetToken(), LeaseUs: 3_000_000}})
		c.gets(ok, &ldlmv2.Op{Seq: 3, Downgrade: &ldlmv2.Downgrade{Name: "x", Token: got.GetToken()}})
		c.gets(ok, &ldlmv2.Op{Seq: 4, SetValue: &ldlmv2.SetValue{Name: "x", Token: got.GetToken(), Value: []byte("v")}})
		c.gets(ok, &ldlmv2.Op{Seq: 5, SetValue: &ldlmv2.SetValue{Value: []byte("of the session")}})
		shared := acquire(1, 1, "x", 0)
		shared.Acquire.Mode = ldlmv2.Mode_MODE_SHARED
		if s := c.gets(ok, shared); s.GetFence() != got.GetFence() || s.GetToken() <= got.GetToken() {
			t.Errorf("shared grant %v beside %v", s, got)
		}
		lost := c.next().GetLost()
		if len(lost) != 1 || lost[0].GetName() != "x" || lost[0].GetToken() != got.GetToken() || lost[0].GetRevoked() ||
			lost[0].GetReason() != ldlmv2.EndReason_END_REASON_EXPIRED {
			t.Errorf("after the lease: %v", lost)
		}
		if v, _ := w.view(c.session); string(v.Value) != "of the session" {
			t.Errorf("value of the session: %q", v.Value)
		}
		if len(key) != 16 {
			t.Errorf("key of %d bytes", len(key))
		}
	})
}

func TestAnEndedGrantIsNotAcquiredAgain(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		c := w.dial()
		c.open()
		op := opOf(func(a *ldlmv2.Acquire) { a.LeaseUs = 1_000_000 })
		got := c.gets(ok, op)
		c.next() // the loss
		a := c.gets(ldlmv2.Code_CODE_ENDED, op)
		if a.GetToken() != got.GetToken() || a.GetStatus().GetEnded() != ldlmv2.EndReason_END_REASON_EXPIRED || len(a.GetKey()) != 0 {
			t.Errorf("asked again: %v, first %v", a, got)
		}
	})
}

func TestReleaseByKeyFromAnotherSession(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		a, b := w.dial(), w.dial()
		b.secret = []byte("another secret, quite random")
		a.open()
		b.open()
		got := a.gets(ok, acquire(0, 1, "x", 0))
		key := keyString(got.GetKey())
		b.gets(ok, &ldlmv2.Op{Seq: 1, Release: &ldlmv2.Release{Name: "x", Key: key}})
		lost := a.next().GetLost()
		if len(lost) != 1 || lost[0].GetToken() != got.GetToken() || lost[0].GetReason() != ldlmv2.EndReason_END_REASON_RELEASED {
			t.Errorf("the holder is told %v", lost)
		}
	})
}

func TestSeqZeroIsDoneOnce(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		c := w.dial()
		c.open()
		c.gets(ok, acquire(0, 0, "x", 0))
		c.gets(held, acquire(0, 0, "x", 0))
		if a := c.gets(ldlmv2.Code_CODE_INVALID, acquire(0, 0, "x", time.Second)); a.GetStatus().GetField() != "seq" {
			t.Errorf("waiting without seq: %v", a)
		}
	})
}

func TestASlotThatNoSessionHas(t *testing.T) {
	inWorld(t, sessionapi.Config{}, func(t *testing.T, w *world) {
		c := w.dial()
		c.open()
		for _, slot := range []uint32{1 << 16, math.MaxUint32} {
			a := c.gets(ldlmv2.Code_CODE_LIMIT, acquire(slot, 1, "x", 0))
			if a.GetStatus().GetLimit() != 1<<16 {
				t.Errorf("slot %d is answered by %v, which does not name the limit", slot, a)
			}
		}
		c.gets(ok, acquire(0, 1, "x", 0))
	})
}
