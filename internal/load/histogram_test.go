package load

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestBucketsAreNarrowAndInOrder(t *testing.T) {
	last := -1
	for i := range buckets {
		lower, upper := time.Duration(0), upper(i)
		if i > 0 {
			lower = time.Duration(last) + 1
		}
		if upper < lower || i >= 2*half && float64(upper-lower) > float64(lower)/half {
			t.Fatalf("bucket %d is from %d to %d", i, lower, upper)
		}
		if bucket(lower) != i || bucket(upper) != i {
			t.Fatalf("%d and %d are counted in %d and %d, want %d", lower, upper, bucket(lower), bucket(upper), i)
		}
		last = int(upper)
	}
	for _, d := range []time.Duration{time.Duration(last) + 1, math.MaxInt64} {
		if got := bucket(d); got != buckets-1 {
			t.Errorf("%s is counted in %d, want the last", d, got)
		}
	}
	if last := time.Duration(last); last < time.Hour {
		t.Errorf("it counts to %s only", last)
	}
	if got := bucket(-1); got != 0 {
		t.Errorf("what is negative is counted in %d", got)
	}
}

func TestQuantilesAreThoseOfTheSample(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 10, 999, 10_000} {
		var all, other histogram
		sample := make([]time.Duration, n)
		for i := range sample {
			sample[i] = time.Duration(math.Exp(random.Float64() * 25))
			if h := []*histogram{&all, &other}[i%2]; true {
				h.record(sample[i])
			}
		}
		all.add(&other)
		slices.Sort(sample)
		for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999, 1} {
			want := sample[max(int(q*float64(n)+0.5), 1)-1]
			if got := all.quantile(q); got < want || float64(got-want) > float64(want)/half {
				t.Errorf("%d durations, quantile %v: got %s, want %s", n, q, got, want)
			}
		}
		if all.max != sample[n-1] || all.total != int64(n) {
			t.Errorf("%d durations: %d, the longest %s, want %s", n, all.total, all.max, sample[n-1])
		}
	}
	if got := new(histogram).quantile(0.5); got != 0 {
		t.Errorf("of nothing: %s", got)
	}
}
