package compare

import (
	"bytes"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		samples []float64
		want    float64
	}{{[]float64{7}, 7}, {[]float64{3, 1}, 2}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 100}, 3.5}} {
		if got := median(c.samples); got != c.want {
			t.Errorf("%v: got %v, want %v", c.samples, got, c.want)
		}
	}
}

func TestRotation(t *testing.T) {
	trial := trial{contenders: []contender{{name: "a"}, {name: "b"}, {name: "c"}}}
	for round, want := range []string{"abc", "bca", "cab", "abc"} {
		got := ""
		for _, c := range trial.rotated(round) {
			got += c.name
		}
		if got != want {
			t.Errorf("round %d: got %s, want %s", round, got, want)
		}
	}
}

func TestFigures(t *testing.T) {
	for _, c := range []struct {
		x    float64
		m    metric
		want string
	}{
		{1234567.8, pairsPerSecond, "1,234,568"}, {123456, pairsPerSecond, "123,456"}, {999.6, pairsPerSecond, "1,000"},
		{250, bytesPerLock, "250"}, {3.14159, serverMicros, "3.14"}, {0.5, serverMicros, "0.5"}, {1, serverMicros, "1"},
		{1.0049, mostToLeast, "1.005"}, {0.4, seconds, "0.400"}, {100.4, milliseconds, "100"}, {0, milliseconds, "0"},
	} {
		if got := figure(c.x, c.m); got != c.want {
			t.Errorf("%v %s: got %s, want %s", c.x, c.m, got, c.want)
		}
	}
}

func TestTable(t *testing.T) {
	t1 := trial{
		name: "t", contenders: []contender{{name: "we"}, {name: "they", redis: true}, {name: "late"}},
		rows: []row{
			{what: "faster", metric: pairsPerSecond, of: "we", against: "they", goal: goal{atLeast, 1.5}},
			{what: "cheaper", metric: serverMicros, of: "we", against: "they", goal: goal{atMost, 0.5}},
			{what: "small", metric: bytesPerLock, of: "we", goal: goal{atMost, 250}},
			{what: "beside", metric: pairsPerSecond, of: "we", against: "late"},
			{what: "unknown", metric: seconds, of: "late", goal: goal{atMost, 1}},
		},
	}
	samples := map[key][]float64{
		{"t", "we", pairsPerSecond}: {3000, 1000, 2000}, {"t", "they", pairsPerSecond}: {1000},
		{"t", "we", serverMicros}: {6}, {"t", "they", serverMicros}: {10},
		{"t", "we", bytesPerLock}: {250},
	}
	for _, c := range []struct {
		redis string
		want  []string
	}{
		{"redis-server", []string{
			"Goals:", "| faster | 2,000 | they 1,000 | 2.00 x | ≥ 1.5 x | met |", "| cheaper | 6 | they 10 | 0.60 x | ≤ 0.5 x | **missed** |",
			"| small | 250 |  |  | ≤ 250 | met |", "| unknown | – |  |  | ≤ 1 |  |", "Beside them:", "| beside | 2,000 | late – |  |  |  |", "Failed: t: no luck",
		}},
		{"", []string{
			"Goals:", "| small | 250 |  |  | ≤ 250 | met |", "| unknown | – |  |  | ≤ 1 |  |", "Beside them:", "| beside | 2,000 | late – |  |  |  |", "Failed: t: no luck",
		}},
	} {
		s := &suite{trials: []trial{t1}, samples: samples, failed: []string{"t: no\nluck"}, options: Options{Redis: c.redis, Rounds: 3}}
		var b bytes.Buffer
		if err := s.report(Machine{}).Write(&b, "c"); err != nil {
			t.Fatal(err)
		}
		var got []string
		for line := range strings.Lines(b.String()) {
			line = strings.TrimSpace(line)
			if line != "" && line[0] != '-' && !strings.HasPrefix(line, "|---") && !strings.HasPrefix(line, "| what") {
				got = append(got, line)
			}
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}
