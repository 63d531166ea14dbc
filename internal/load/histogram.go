package load

import (
	"math/bits"
	"time"
)

// A histogram counts durations in buckets that grow with what they count: each
// is at most a 64th of its lower bound wide, so a quantile is at most 1.6 % too
// large. It counts from 1 ns to over an hour; what is longer counts as the longest.
//
// The buckets below 128 ns are one nanosecond wide. Above, each doubling of the
// duration has 64 buckets:
//
//	nanoseconds   0 … 127   128 … 255   256 … 511   …
//	width         1         2           4           …
//	bucket        0 … 127   128 … 191   192 … 255   …
//
// The zero value is empty. It is not safe for concurrent use.
type histogram struct {
	counts [buckets]int64
	total  int64
	max    time.Duration
}

const (
	halfBits  = 6 // of a doubling: 64 buckets
	half      = 1 << halfBits
	doublings = 36
	buckets   = (doublings + 1) * half
)

// bucket returns where d is counted.
func bucket(d time.Duration) int {
	n := uint64(max(d, 0))
	shift := max(bits.Len64(n)-halfBits-1, 0)
	return min(shift*half+int(n>>shift), buckets-1)
}

// upper returns the longest duration that is counted in bucket i.
func upper(i int) time.Duration {
	shift := max(i/half-1, 0)
	return time.Duration((i-shift*half+1)<<shift - 1)
}

func (h *histogram) record(d time.Duration) {
	h.counts[bucket(d)]++
	h.total++
	h.max = max(h.max, d)
}

func (h *histogram) add(other *histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.max = max(h.max, other.max)
}

// quantile returns a duration that a share q of all that were recorded do not
// exceed; 0 if none were.
func (h *histogram) quantile(q float64) time.Duration {
	rank := max(int64(q*float64(h.total)+0.5), 1)
	for i, n := range h.counts {
		if rank -= n; rank <= 0 {
			return min(upper(i), h.max)
		}
	}
	return h.max
}
