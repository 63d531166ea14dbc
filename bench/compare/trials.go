package compare

import (
	"fmt"
	"time"

	"github.com/ldlm-io/ldlm/bench/echo"
	"github.com/ldlm-io/ldlm/internal/load"
)

// trialsOf returns those of clusters, or all others.
func trialsOf(cluster bool, sizes Sizes) []trial {
	if cluster {
		return clusterTrials(sizes)
	}
	return trials(sizes)
}

// trials returns those of servers that are alone, in the order of the table.
func trials(sizes Sizes) []trial {
	all := []trial{
		pairs(1, goal{atLeast, 1.3}, goal{}),
		pairs(16, goal{atLeast, 1.4}, goal{}),
		pairs(64, goal{atLeast, 2}, goal{atMost, 0.5}),
		pairs(256, goal{atLeast, 3}, goal{atMost, 0.5}),
		connections(64),
		connections(256),
		carried("grpc/64", overGRPC(), bare(echo.Pipelined), job{workers: 64}, "one client"),
		carried("grpc-connections/64", overGRPC(), bare(echo.Stream), job{workers: 64, each: true}, "a connection each"),
		carried("v1/64", firstProtocol(), bare(echo.Unary), job{workers: 64}, "one connection"),
		handOffs("handoffs/16", false, "one client"),
		handOffs("handoffs-connections/16", true, "a connection each"),
		written(1, goal{atLeast, 1}),
		written(64, goal{atLeast, 2}),
		lockMemory(), connectionMemory(),
		flat("held", plain(), "", sizes), flat("held/durable", durable(), ", on disk", sizes),
		killedTrial(sizes),
	}
	return append(all, deaths()...)
}

// pairs compares one client that many workers share.
func pairs(workers int, speed, cpu goal) trial {
	j := job{workload: load.Pairs, workers: workers}
	what := func(m metric) string { return fmt.Sprintf("%s, %s, one client", m, count(workers, "worker")) }
	return trial{
		name:       fmt.Sprintf("pairs/%d", workers),
		contenders: []contender{plain().contender(j), pooled().contender(j), pipelining().contender(j), bare(echo.Frames).contender(j)},
		rows: []row{
			{what: what(pairsPerSecond), metric: pairsPerSecond, of: nameLDLM, against: nameRedis, goal: speed},
			{what: what(serverMicros), metric: serverMicros, of: nameLDLM, against: nameRedis, goal: cpu},
			{what: what(pairsPerSecond), metric: pairsPerSecond, of: nameLDLM, against: namePipelined},
			{what: what(serverMicros), metric: serverMicros, of: nameLDLM, against: namePipelined},
			{what: what(pairsPerSecond), metric: pairsPerSecond, of: nameLDLM, against: echoName(echo.Frames)},
			{what: what(serverMicros), metric: serverMicros, of: nameLDLM, against: echoName(echo.Frames)},
		},
	}
}

// connections compares workers that have a connection each.
func connections(workers int) trial {
	j := job{workload: load.Pairs, workers: workers, each: true}
	alone := job{workload: load.Pairs, workers: workers} // its pool has one for each
	what := func(m metric) string { return fmt.Sprintf("%s, %d workers, a connection each", m, workers) }
	return trial{
		name:       fmt.Sprintf("connections/%d", workers),
		contenders: []contender{plain().contender(j), pooled().contender(alone), bare(echo.TCP).contender(j)},
		rows: []row{
			{what: what(pairsPerSecond), metric: pairsPerSecond, of: nameLDLM, against: nameRedis, goal: goal{atLeast, 1.2}},
			{what: what(serverMicros), metric: serverMicros, of: nameLDLM, against: nameRedis, goal: goal{atMost, 1}},
			{what: what(pairsPerSecond), metric: pairsPerSecond, of: nameLDLM, against: echoName(echo.TCP)},
			{what: what(serverMicros), metric: serverMicros, of: nameLDLM, against: echoName(echo.TCP)},
		},
	}
}

// carried compares a carrier with the echo that has the same shape: as many
// messages, on as many connections, in flight together.
func carried(name string, s, floor system, j job, shape string) trial {
	j.workload = load.Pairs
	what := func(m metric) string { return fmt.Sprintf("%s, %s, %d workers, %s", s.name, m, j.workers, shape) }
	return trial{
		name:       name,
		contenders: []contender{s.contender(j), floor.contender(j)},
		rows: []row{
			{what: what(serverMicros), metric: serverMicros, of: s.name, against: floor.name, goal: goal{atMost, 1.25}},
			{what: what(pairsPerSecond), metric: pairsPerSecond, of: s.name, against: floor.name},
		},
	}
}

// written compares what is on the disk before it is answered.
func written(workers int, speed goal) trial {
	j := job{workload: load.Pairs, workers: workers}
	what := func(m metric) string { return fmt.Sprintf("%s, on disk, %s, one client", m, count(workers, "worker")) }
	t := trial{
		name:       fmt.Sprintf("durable/%d", workers),
		contenders: []contender{durable().contender(j), always().contender(j)},
		rows: []row{
			{what: what(pairsPerSecond), metric: pairsPerSecond, of: nameDurable, against: nameAlways, goal: speed},
			{what: what(serverMicros), metric: serverMicros, of: nameDurable, against: nameAlways},
		},
	}
	if workers == 1 { // of more, several share an fsync
		t.contenders = append(t.contenders, bareDisk())
		t.rows = append(t.rows,
			row{what: what(pairsPerSecond), metric: pairsPerSecond, of: nameDurable, against: nameDisk},
			row{what: nameAlways + ": " + what(pairsPerSecond), metric: pairsPerSecond, of: nameAlways, against: nameDisk})
	}
	return t
}

// handOffs measures a lock that goes from one worker to the next.
func handOffs(name string, each bool, shape string) trial {
	const workers = 16
	what := fmt.Sprintf("%d waiters for one lock, %s: ", workers, shape)
	j := job{workload: load.HandOffs, workers: workers, each: each}
	return trial{
		name:       name,
		contenders: []contender{plain().contender(j), bareBaton(!each).contender(j)},
		rows: []row{
			{what: what + "hand-offs/s", metric: pairsPerSecond, of: nameLDLM, goal: goal{atLeast, 15_000}},
			{what: what + string(mostToLeast), metric: mostToLeast, of: nameLDLM, goal: goal{atMost, 1.02}},
			{what: what + "hand-offs/s", metric: pairsPerSecond, of: nameLDLM, against: nameBaton},
			{what: what + string(serverMicros), metric: serverMicros, of: nameLDLM, against: nameBaton},
		},
	}
}

func lockMemory() trial {
	return trial{
		name:       "memory/locks",
		contenders: []contender{plain().lockMemory(), pooled().lockMemory()},
		rows: []row{
			{what: string(bytesPerLock), metric: bytesPerLock, of: nameLDLM, goal: goal{atMost, 250}},
			{what: string(bytesPerLock), metric: bytesPerLock, of: nameLDLM, against: nameRedis},
		},
	}
}

func connectionMemory() trial {
	return trial{
		name: "memory/connections",
		contenders: []contender{
			plain().connectionMemory(), overGRPC().connectionMemory(), pooled().connectionMemory(), bare(echo.Stream).connectionMemory(),
		},
		rows: []row{
			{what: "KB per plain connection", metric: kbPerConnection, of: nameLDLM, goal: goal{atMost, 20}},
			{what: "KB per gRPC connection", metric: kbPerConnection, of: nameGRPC, goal: goal{atMost, 32}},
			{what: "KB per plain connection", metric: kbPerConnection, of: nameLDLM, against: nameRedis},
			{what: "KB per gRPC connection", metric: kbPerConnection, of: nameGRPC, against: echoName(echo.Stream)},
		},
	}
}

// flat compares a session that holds nothing with one that holds a lot.
func flat(name string, s system, where string, sizes Sizes) trial {
	const workers = 64
	free, full := s, s
	free.name, full.name = "none held", "many held"
	j := job{workload: load.Pairs, workers: workers}
	loaded := j
	loaded.held = true
	what := func(m metric) string {
		return fmt.Sprintf("%s%s, %d workers, %s held by the session", m, where, workers, count(sizes.Locks, "lock"))
	}
	return trial{
		name:       name,
		contenders: []contender{full.contender(loaded), free.contender(j)},
		rows: []row{
			{what: what(pairsPerSecond), metric: pairsPerSecond, of: full.name, against: free.name, goal: goal{atLeast, 0.95}},
			{what: what(serverMicros), metric: serverMicros, of: full.name, against: free.name, goal: goal{atMost, 1.05}},
		},
	}
}

func killedTrial(sizes Sizes) trial {
	what := fmt.Sprintf("s until the %s of a killed client are all granted to %s", count(sizes.Locks, "lock"), count(sizes.Locks, "waiter"))
	return trial{
		name:       "killed",
		contenders: []contender{killed()},
		rows: []row{
			{what: what, metric: seconds, of: nameLDLM, goal: goal{atMost, 0.5}},
			{what: "the same, server CPU, s", metric: serverSeconds, of: nameLDLM},
		},
	}
}

// deaths measure how soon the lock of one who is gone passes on.
func deaths() []trial {
	kills := func(s Sizes) int { return s.Kills }
	once := func(Sizes) int { return 1 }
	within := goal{atMost, 10}
	freed := func(name, what string, h Holder) trial {
		return trial{
			name:       name,
			contenders: []contender{passesOn(nameLDLM, h, kills, killIt, time.Millisecond, milliseconds)},
			rows:       []row{{what: what, metric: milliseconds, of: nameLDLM, goal: within}},
		}
	}
	frozen := Holder{TTL: frozenTTL}
	return []trial{
		freed("freed/v1", "ms until a waiter is in after kill -9, first protocol", Holder{V1: true}),
		freed("freed/native", "ms until a waiter is in after kill -9, session that ends with its connection", Holder{Close: true}),
		{
			name:       "frozen",
			contenders: []contender{passesOn(nameLDLM, frozen, once, freezeIt, time.Second, seconds)},
			rows: []row{{
				what:   fmt.Sprintf("s until a waiter is in after the holder is frozen, ttl %s", frozenTTL),
				metric: seconds, of: nameLDLM, goal: goal{atMost, frozenTTL.Seconds()},
			}},
		},
	}
}

// count writes a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return grouped(float64(n)) + " " + thing + "s"
}
