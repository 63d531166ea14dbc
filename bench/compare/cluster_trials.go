package compare

import (
	"fmt"

	"github.com/ldlm-io/ldlm/internal/load"
)

// heartbeatMillis is how long a member hears nothing from a leader before it wants to be
// elected, as it is set unless somebody says otherwise.
const heartbeatMillis = 500

// clusterTrials are those of three members, in the order of the table.
func clusterTrials(sizes Sizes) []trial {
	return []trial{
		clusterPairs(1, goal{}),
		clusterPairs(64, goal{atLeast, 5}),
		clusterPairs(512, goal{atLeast, 10}),
		clusterConnections(64),
		clusterHandOffs(),
		failOver(sizes), transfer(sizes), idle(sizes),
	}
}

// versus makes a row of both clusters.
func versus(what string, m metric, g goal) row {
	return row{what: what, metric: m, of: nameThree, against: nameEtcd, goal: g}
}

// clusterPairs compares one client at the leader that many workers share.
func clusterPairs(workers int, speed goal) trial {
	j := job{workload: load.Pairs, workers: workers}
	what := func(m metric) string {
		return fmt.Sprintf("three members: %s, %s, one client", m, count(workers, "worker"))
	}
	return trial{
		name:       fmt.Sprintf("cluster/pairs/%d", workers),
		contenders: []contender{ldlmTrio().contender(j), etcdTrio().contender(j)},
		rows: []row{
			versus(what(pairsPerSecond), pairsPerSecond, speed),
			versus(what(serverMicros), serverMicros, goal{}),
			versus(what(halfMicros), halfMicros, goal{}),
			versus(what(p99Micros), p99Micros, goal{}),
		},
	}
}

// clusterConnections compares workers that have a client each, at the leader.
func clusterConnections(workers int) trial {
	j := job{workload: load.Pairs, workers: workers, each: true}
	what := func(m metric) string { return fmt.Sprintf("three members: %s, %d workers, a client each", m, workers) }
	return trial{
		name:       fmt.Sprintf("cluster/connections/%d", workers),
		contenders: []contender{ldlmTrio().contender(j), etcdTrio().contender(j)},
		rows: []row{
			versus(what(pairsPerSecond), pairsPerSecond, goal{}),
			versus(what(serverMicros), serverMicros, goal{}),
		},
	}
}

// clusterHandOffs compares a lock that goes from one client at the leader to the next.
func clusterHandOffs() trial {
	const workers = 16
	j := job{workload: load.HandOffs, workers: workers, each: true}
	what := fmt.Sprintf("three members: %d clients at the leader wait for one lock: ", workers)
	return trial{
		name:       "cluster/handoffs/16",
		contenders: []contender{ldlmTrio().contender(j), etcdTrio().contender(j)},
		rows: []row{
			versus(what+"hand-offs/s", pairsPerSecond, goal{atLeast, 5}),
			versus(what+string(mostToLeast), mostToLeast, goal{}),
			versus(what+string(serverMicros), serverMicros, goal{}),
		},
	}
}

// failOver measures kill -9 of the leader.
func failOver(sizes Sizes) trial {
	what := "ms from kill -9 of the leader to the first new grant, "
	of := fmt.Sprintf(" of %d", sizes.Leaders)
	return trial{
		name:       "cluster/failover",
		contenders: []contender{ldlmTrio().failOver(), etcdTrio().failOver()},
		rows: []row{
			{what: what + "90 %" + of, metric: ninetyMillis, of: nameThree, goal: goal{atMost, 3 * heartbeatMillis}},
			versus(what+"half"+of, halfMillis, goal{}),
			versus(what+"90 %"+of+", beside", ninetyMillis, goal{}),
			versus(what+"the slowest"+of, milliseconds, goal{}),
		},
	}
}

// transfer measures that the lead is handed over in order.
func transfer(sizes Sizes) trial {
	what := fmt.Sprintf("the lead is handed over %d times, %s of one client: ", sizes.Transfers, count(transferWorkers, "worker"))
	return trial{
		name:       "cluster/transfer",
		contenders: []contender{ldlmTrio().transfer()},
		rows: []row{
			{what: what + "ms that the slowest request took", metric: milliseconds, of: nameThree, goal: goal{atMost, 200}},
			{what: what + "failed requests", metric: failures, of: nameThree, goal: goal{atMost, 0}},
			{what: what + "ms that the slowest command took", metric: commandMillis, of: nameThree},
		},
	}
}

// idle measures what sessions cost that do nothing.
func idle(sizes Sizes) trial {
	what := fmt.Sprintf("%s idle for %s, in three members: ", count(sizes.Sessions, "session"), sizes.Idle)
	return trial{
		name:       "cluster/idle",
		contenders: []contender{ldlmTrio().idle()},
		rows: []row{
			{what: what + "log entries of their own", metric: entries, of: nameThree, goal: goal{atMost, 0}},
			{what: what + "log entries of the members", metric: memberEntries, of: nameThree},
			{what: what + string(serverSeconds), metric: serverSeconds, of: nameThree},
		},
	}
}
