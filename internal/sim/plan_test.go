package sim

import "github.com/ldlm-io/ldlm/internal/lock"

// engine says what puts commands into one order.
type engine uint8

const (
	// inMemory: at once, in one process that forgets at its end.
	inMemory engine = iota
	// onDisk: in one process that remembers.
	onDisk
	// moving: led by one of several machines, which change.
	moving
)

// plan says what there is in a run and what goes wrong, how often. Chances are
// out of 1,000; intervals are means, 0 is never.
type plan struct {
	length, calm span // the calm is the end of it
	clients, v1s int
	tasks        int
	locks        int

	ttl         span
	memberLease span
	drift       int64 // of clocks, in parts per million
	// endWithConnection is the share of clients whose session ends with a
	// connection that they end.
	endWithConnection int

	// What programs do.
	rest, work, patience                                          span
	giveUp, leased, delayed, shared, several, downgrade, longWork int

	// What happens to clients: how often, and for how long at most.
	stop, suspend, cutOff             span
	stopMost, suspendMost, cutOffMost span
	sever, half, reset                span
	crash                             span
	machineToo                        int
	late                              int
	lateMost                          span
	lateWrite                         span

	// What happens to the server and to the order of commands.
	journal                          engine
	memberStop, memberStopMost       span
	memberCrash, memberDown          span
	lose, refuse, duplicate, outlive int
	turnAway                         int // entries, when they are appended
	lateProposal                     int
	lateProposalMost                 span
	gather, store                    span
	slowStore                        int
	slowStoreMost                    span
	memberCut, memberCutMost         span
	replace, replaceMost             span
	elect, vacancy                   span
	leaderStop, leaderStopMost       span
	force, kill, collect             span
}

// settings are those of the table.
func (p *plan) settings() lock.Settings {
	return lock.Settings{MinTTL: second, DefaultTTL: p.ttl, MaxTTL: p.ttl, MemberLease: p.memberLease}
}

// quiet is how long a table that has forgotten grants nothing: until nobody
// can believe any more.
func (p *plan) quiet() span { return p.ttl + p.memberLease }

// margin is how much of a ttl or lease the side that waits counts. Clocks may
// differ by 5 % each.
func (w *world) margin(d span) span {
	if w.broken.NoMargin {
		return d
	}
	return d * 100 / 112
}

// peace is a plan in which nothing goes wrong.
func peace() plan {
	return plan{
		length: 120 * second, calm: 30 * second, clients: 5, v1s: 2, tasks: 2, locks: 4,
		ttl: 5 * second, memberLease: 7 * second, drift: 50_000,
		rest: 2 * second, work: second, patience: 4 * second, giveUp: 100, leased: 200, delayed: 50,
		shared: 400, several: 100, downgrade: 50, longWork: 100, endWithConnection: 300,
		journal: inMemory, gather: 5 * millisecond, store: 8 * millisecond, lateWrite: second,
	}
}

// swarm draws a plan in which some things go wrong and others do not, so that
// rare meetings of faults are not drowned in frequent ones.
func (w *world) swarm() plan {
	p := peace()
	p.length = w.between(90*second, 240*second)
	p.clients = 2 + w.chance.IntN(5)
	p.v1s = w.chance.IntN(4)
	p.tasks = 1 + w.chance.IntN(3)
	p.locks = 1 + w.chance.IntN(len(lockNames))
	p.ttl = []span{2 * second, 5 * second, 10 * second}[w.chance.IntN(3)]
	p.journal = engine(w.chance.IntN(3))
	w.swarmClients(&p)
	w.swarmServer(&p)
	return p
}

// maybe draws an interval, or never.
func (w *world) maybe(least, most span) span {
	if w.chance.IntN(2) == 0 {
		return 0
	}
	return w.between(least, most)
}

func (w *world) swarmClients(p *plan) {
	p.stop, p.stopMost = w.maybe(5*second, 40*second), w.between(second, 3*p.ttl)
	p.suspend, p.suspendMost = w.maybe(5*second, 40*second), w.between(second, 3*p.ttl)
	p.cutOff, p.cutOffMost = w.maybe(5*second, 40*second), w.between(second, 3*p.ttl)
	p.sever = w.maybe(3*second, 30*second)
	p.half = w.maybe(5*second, 30*second)
	p.reset = w.maybe(3*second, 30*second)
	p.crash, p.machineToo = w.maybe(10*second, 60*second), 400
	p.late, p.lateMost = w.chance.IntN(2)*w.chance.IntN(30), w.between(100*millisecond, 2*p.ttl)
	p.lateWrite = w.between(0, 3*p.ttl)
	p.leased = w.chance.IntN(2) * w.chance.IntN(800)
	p.several = w.chance.IntN(2) * w.chance.IntN(300)
	p.longWork = w.chance.IntN(400)
}

func (w *world) swarmServer(p *plan) {
	p.memberStop, p.memberStopMost = w.maybe(20*second, 60*second), w.between(second, 3*p.ttl)
	p.memberCrash, p.memberDown = w.maybe(20*second, 80*second), w.between(100*millisecond, 5*second)
	p.force, p.kill, p.collect = w.maybe(5*second, 30*second), w.maybe(20*second, 60*second), w.maybe(second, 20*second)
	if p.journal == inMemory {
		return
	}
	p.lose = w.chance.IntN(2) * w.chance.IntN(50)
	p.refuse = w.chance.IntN(2) * w.chance.IntN(50)
	p.turnAway = p.refuse
	p.duplicate = w.chance.IntN(2) * w.chance.IntN(100)
	p.lateProposal, p.lateProposalMost = w.chance.IntN(2)*w.chance.IntN(40), w.between(100*millisecond, 2*p.ttl)
	p.slowStore, p.slowStoreMost = w.chance.IntN(2)*w.chance.IntN(20), w.between(100*millisecond, p.ttl)
	p.outlive = w.chance.IntN(2) * w.chance.IntN(1000)
	if w.chance.IntN(2) == 0 {
		p.gather = w.between(millisecond, p.ttl/6)
	}
	p.elect, p.vacancy = w.maybe(5*second, 60*second), w.between(50*millisecond, 3*second)
	if p.journal == moving {
		p.memberCut, p.memberCutMost = w.maybe(10*second, 60*second), w.between(second, 3*(p.ttl+p.memberLease))
		p.replace, p.replaceMost = w.maybe(20*second, 60*second), w.between(second, 3*(p.ttl+p.memberLease))
		p.leaderStop, p.leaderStopMost = w.maybe(10*second, 60*second), w.between(second, 2*p.ttl)
	}
}
