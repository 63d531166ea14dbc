package ldlm

import (
	"math/rand/v2"
	"testing"
)

// The lowest free slot is used, and its number goes up by one, whatever is
// taken and freed in whichever order.
func TestSlots(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	s := slots{max: 200, maxWaiting: 150}
	busy := map[uint32]*call{}
	seqs := map[uint32]uint64{}
	waiting := 0
	for range 20_000 {
		if random.IntN(2) == 0 && len(busy) > 0 {
			for slot, ca := range busy { // any of them
				s.free(ca)
				delete(busy, slot)
				if ca.waits {
					waiting--
				}
				break
			}
			continue
		}
		ca := &call{waits: random.IntN(3) > 0}
		want := uint32(0)
		for busy[want] != nil {
			want++
		}
		took := s.take(ca)
		if room := len(busy) < 200 && (!ca.waits || waiting < 150); took != room {
			t.Fatalf("take is %t with %d busy and %d waiting", took, len(busy), waiting)
		}
		if !took {
			continue
		}
		seqs[want]++
		if ca.op.GetSlot() != want || ca.op.GetSeq() != seqs[want] {
			t.Fatalf("slot %d, seq %d; want %d, %d", ca.op.GetSlot(), ca.op.GetSeq(), want, seqs[want])
		}
		busy[want] = ca
		if ca.waits {
			waiting++
		}
		if s.find(want, seqs[want]) != ca || s.find(want, seqs[want]+1) != nil || s.find(1000, 1) != nil {
			t.Fatalf("slot %d is not found as it should be", want)
		}
	}
	if n := len(s.underWay()); n != len(busy) || s.busy != n || s.waiting != waiting {
		t.Errorf("%d under way, %d busy, %d waiting; want %d, %d waiting", n, s.busy, s.waiting, len(busy), waiting)
	}
}
