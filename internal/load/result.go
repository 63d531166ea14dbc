package load

import "time"

// A Result is what was measured. Its JSON is for programs: names in it stay.
type Result struct {
	Workload    Workload `json:"workload"`
	Workers     int      `json:"workers"`
	Connections int      `json:"connections"`
	HeldLocks   int      `json:"held_locks"`
	// Interrupted says that the run ended before it was over; the rest is what
	// was measured until then.
	Interrupted bool `json:"interrupted"`
	// Pairs that were done while the clock ran, each a lock and its release.
	Pairs          int64   `json:"pairs"`
	Seconds        float64 `json:"seconds"`
	PairsPerSecond float64 `json:"pairs_per_second"`
	// Latency of a pair.
	Latency Latency `json:"latency_us"`
	// MostServed and LeastServed are the pairs of the worker who did most, and
	// of the one who did least.
	MostServed  int64 `json:"most_served"`
	LeastServed int64 `json:"least_served"`
	// Server is what the server used; nil if that is not known.
	Server *ServerUse `json:"server,omitempty"`
}

// Latency has quantiles of durations, in microseconds. They are at most 1.6 %
// too large; Max is exact.
type Latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
	Max  float64 `json:"max"`
}

// ServerUse is the processor time of a server while the clock ran.
type ServerUse struct {
	CPUSeconds       float64 `json:"cpu_seconds"`
	CPUMicrosPerPair float64 `json:"cpu_us_per_pair"`
}

// Fairness returns how much more the worker who did most did than the one who
// did least: 1 is fair, 0 means that somebody did nothing at all.
func (r *Result) Fairness() float64 {
	if r.LeastServed == 0 {
		return 0
	}
	return float64(r.MostServed) / float64(r.LeastServed)
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func (h *histogram) latency() Latency {
	return Latency{
		P50: micros(h.quantile(0.5)), P90: micros(h.quantile(0.9)), P99: micros(h.quantile(0.99)),
		P999: micros(h.quantile(0.999)), Max: micros(h.max),
	}
}
