package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/verify/history"
)

// fault is something that is done to servers, clients, disks or the network, and is
// over when do returns.
type fault struct {
	kind string
	do   func(context.Context, *trial) error
}

// faults are all kinds there are.
func faults() []fault {
	return []fault{
		{"leader killed", killLeader},
		{"member killed", killMember},
		{"two of three killed", killMajority},
		{"all killed", killAll},
		{"member stopped shortly", stopShortly},
		{"leader stopped past every lease", stopLong},
		{"leader cut off from members", cutLeader},
		{"member cut off from everybody", cutMember},
		{"leader cut in one direction", cutOneWay},
		{"two members cut from each other", cutPair},
		{"packets lost", ailing(ill{lost: 0.2})},
		{"packets late and out of order", ailing(ill{late: 200 * time.Millisecond})},
		{"packets twice", ailing(ill{doubled: 0.5, late: 20 * time.Millisecond})},
		{"disk slow", slowDisk},
		{"disk of the leader hangs", hangDisk},
		{"power of a disk fails", failDisk},
		{"disk full", fullDisk},
		{"rolling restart", rollingRestart},
		{"lead handed over", transfer},
		{"member replaced", replaceMember},
		{"clients killed", killClients},
		{"clients stopped between read and write", stopClients},
		{"clients cut off", cutClients},
	}
}

// for a random time.
func (t *trial) wait(ctx context.Context, least, most time.Duration) error {
	return rest(ctx, least+time.Duration(t.chance.Int64N(int64(most-least))))
}

func pick[T any](chance *rand.Rand, of []T) T { return of[chance.IntN(len(of))] }

// other are the machines of the seats but one.
func (t *trial) others(than *seat) (all []*machine) {
	for _, s := range t.seats {
		if s != than {
			all = append(all, s.machine)
		}
	}
	return all
}

// followers are the seats but the leader's.
func (t *trial) followers(leader *seat) (all []*seat) {
	for _, s := range t.seats {
		if s != leader {
			all = append(all, s)
		}
	}
	return all
}

func (t *trial) everybody() (all []*machine) {
	all = append(all, t.operator)
	for _, c := range t.clients {
		all = append(all, c.machine)
	}
	return all
}

// killed kills servers and starts them again.
func (t *trial) killed(ctx context.Context, seats ...*seat) error {
	for _, s := range seats {
		s.kill()
	}
	if err := t.wait(ctx, 100*time.Millisecond, 4*time.Second); err != nil {
		return err
	}
	for _, s := range seats {
		if err := t.start(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func killLeader(ctx context.Context, t *trial) error {
	s, err := t.leader(ctx)
	if err != nil {
		return err
	}
	return t.killed(ctx, s)
}

func killMember(ctx context.Context, t *trial) error { return t.killed(ctx, pick(t.chance, t.seats)) }

func killMajority(ctx context.Context, t *trial) error {
	but := t.chance.IntN(len(t.seats))
	return t.killed(ctx, t.followers(t.seats[but])...)
}

func killAll(ctx context.Context, t *trial) error { return t.killed(ctx, t.seats...) }

// stopped stops a process for a while, as SIGSTOP does.
func (t *trial) stopped(ctx context.Context, s *seat, least, most time.Duration) error {
	s.signal(syscall.SIGSTOP)
	defer s.signal(syscall.SIGCONT)
	return t.wait(ctx, least, most)
}

func stopShortly(ctx context.Context, t *trial) error {
	return t.stopped(ctx, pick(t.chance, t.seats), 200*time.Millisecond, 2*time.Second)
}

// stopLong stops the leader for longer than a member's lease and a session's ttl.
func stopLong(ctx context.Context, t *trial) error {
	s, err := t.leader(ctx)
	if err != nil {
		return err
	}
	return t.stopped(ctx, s, 9*time.Second, 14*time.Second)
}

// cut cuts two sides from each other, in both directions, for a while.
func (t *trial) cut(ctx context.Context, a, b []*machine, least, most time.Duration) error {
	t.fabric.harm(a, b, ill{cut: true})
	t.fabric.harm(b, a, ill{cut: true})
	defer t.fabric.heal()
	return t.wait(ctx, least, most)
}

func cutLeader(ctx context.Context, t *trial) error {
	s, err := t.leader(ctx)
	if err != nil {
		return err
	}
	return t.cut(ctx, []*machine{s.machine}, t.others(s), 2*time.Second, 11*time.Second)
}

func cutMember(ctx context.Context, t *trial) error {
	s := pick(t.chance, t.seats)
	return t.cut(ctx, []*machine{s.machine}, append(t.others(s), t.everybody()...), 2*time.Second, 11*time.Second)
}

func cutOneWay(ctx context.Context, t *trial) error {
	s, err := t.leader(ctx)
	if err != nil {
		return err
	}
	from, to := []*machine{s.machine}, t.others(s)
	if t.chance.IntN(2) == 0 {
		from, to = to, from
	}
	t.fabric.harm(from, to, ill{cut: true})
	defer t.fabric.heal()
	return t.wait(ctx, 2*time.Second, 11*time.Second)
}

func cutPair(ctx context.Context, t *trial) error {
	s := pick(t.chance, t.seats)
	return t.cut(ctx, []*machine{s.machine}, t.others(s)[:1], 2*time.Second, 9*time.Second)
}

// ailing lets something happen to all packets from and to members for a while.
func ailing(i ill) func(context.Context, *trial) error {
	return func(ctx context.Context, t *trial) error {
		members, all := t.others(nil), t.everybody()
		t.fabric.harm(members, append(all, members...), i)
		t.fabric.harm(all, members, i)
		defer t.fabric.heal()
		return t.wait(ctx, 3*time.Second, 6*time.Second)
	}
}

// slowDisk lets the disk of a member hang for moments.
func slowDisk(ctx context.Context, t *trial) error {
	s := pick(t.chance, t.seats)
	s.expectEnd() // where the machine is slow too, a moment can be too long
	for range 5 {
		if err := s.disk.freeze(); err != nil {
			return err
		}
		err := t.wait(ctx, 20*time.Millisecond, 700*time.Millisecond)
		s.disk.thaw()
		if err == nil {
			err = t.wait(ctx, 50*time.Millisecond, 500*time.Millisecond)
		}
		if err != nil {
			return err
		}
	}
	return t.revive(ctx)
}

// hangDisk lets the disk of the leader hang for longer than a write may take: the
// server must end.
func hangDisk(ctx context.Context, t *trial) error {
	s, err := t.leader(ctx)
	if err != nil {
		return err
	}
	s.expectEnd()
	if err := s.disk.freeze(); err != nil {
		return err
	}
	err = t.wait(ctx, 4*time.Second, 8*time.Second)
	s.disk.thaw()
	if err != nil {
		return err
	}
	s.kill() // it may have come to its end, or may still be about to
	return t.start(ctx, s)
}

// failDisk takes the power from a member: what was not synced is gone.
func failDisk(ctx context.Context, t *trial) error {
	s := pick(t.chance, t.seats)
	s.expectEnd()
	if err := s.disk.fail(); err != nil {
		return err
	}
	if err := t.wait(ctx, 100*time.Millisecond, 3*time.Second); err != nil {
		return err
	}
	s.kill()
	if err := s.disk.unmount(); err != nil {
		return err
	}
	if err := s.disk.mount(ctx); err != nil {
		return err
	}
	return t.start(ctx, s)
}

// fullDisk leaves hardly any room on the disk of a member.
func fullDisk(ctx context.Context, t *trial) error {
	s := pick(t.chance, t.seats)
	s.expectEnd()
	const left = 1 << 20
	empty, err := s.disk.fill(int64(t.chance.IntN(left)))
	if err != nil {
		return err
	}
	err = t.wait(ctx, 3*time.Second, 7*time.Second)
	if gone := empty(); gone != nil {
		return gone
	}
	if err != nil {
		return err
	}
	return t.revive(ctx)
}

// rollingRestart restarts all servers in order, one after the other.
func rollingRestart(ctx context.Context, t *trial) error {
	for _, s := range t.seats {
		const drain = time.Minute
		if err := s.end(syscall.SIGTERM, drain); err != nil {
			t.blame(err.Error())
		}
		if err := t.start(ctx, s); err != nil {
			return err
		}
		if err := t.await(ctx); err != nil {
			return err
		}
	}
	return nil
}

// transfer hands the lead over, to a member or to any.
func transfer(ctx context.Context, t *trial) error {
	s, err := t.leader(ctx)
	if err != nil {
		return err
	}
	args := []string{"transfer"}
	if t.chance.IntN(2) == 0 {
		args = append(args, pick(t.chance, t.followers(s)).member)
	}
	if _, err := t.ldlm(ctx, s, args...); err != nil {
		t.say("%v", err) // a member that lags cannot take it: an answer, too
	}
	return t.wait(ctx, 100*time.Millisecond, 2*time.Second)
}

// replaceMember ends a member for ever, and has one of another name join on its machine.
func replaceMember(ctx context.Context, t *trial) error {
	s := pick(t.chance, t.seats)
	if t.chance.IntN(2) == 0 {
		s.kill() // else it is removed while it runs
	}
	s.expectEnd()
	at := pick(t.chance, t.followers(s))
	if err := t.insist(ctx, func() error {
		_, err := t.ldlm(ctx, at, "remove", "--yes", s.member)
		return err
	}); err != nil {
		return err
	}
	s.kill()
	name, err := t.newName(ctx)
	if err != nil {
		return err
	}
	s.member, s.joins = name, at.at(memberPort)
	return t.start(ctx, s)
}

// insist tries again what needs a leader, until it works.
func (t *trial) insist(ctx context.Context, what func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := what()
		if err == nil {
			return nil
		}
		if rest(ctx, 300*time.Millisecond) != nil {
			return fmt.Errorf("within %v: %w", patience, err)
		}
	}
}

// killClients kills a process of clients and starts another one.
func killClients(ctx context.Context, t *trial) error {
	c := pick(t.chance, t.clients)
	t.killClients(c)
	return t.startClients(ctx, c)
}

// stopClients stops a process between the read of a set and its write, until somebody
// else had the lock and has written. Then it goes on and writes.
func stopClients(ctx context.Context, t *trial) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("a lock of clients that stand still does not pass on within %v", patience))
	defer cancel()
	c := t.clients[t.chance.IntN(2)] // those that speak the native protocol
	caught := make(chan string, 1)
	t.store.catch(c.number, func(name string) {
		c.freeze()
		caught <- name
	})
	defer t.store.release(c.number)
	var name string
	select {
	case name = <-caught:
	case <-ctx.Done():
		return fmt.Errorf("no client came to change a set: %w", context.Cause(ctx))
	}
	defer func() { _ = c.process.Process.Signal(syscall.SIGCONT) }() // it is killed otherwise
	return t.change(ctx, name)
}

// change adds an element to the sets of a lock, as clients do.
func (t *trial) change(ctx context.Context, name string) error {
	id := t.notes.begin(0, wish{lock: name, size: 1})
	l, err := t.own.Lock(ctx, name)
	if err != nil {
		return err
	}
	t.notes.told(id, history.Granted, l.Token())
	before := t.store.answer(&question{Name: name, Token: l.Token()})
	t.store.answer(&question{
		Name: name, Token: l.Token(), Fenced: append(slices.Clip(before.Fenced), id), Bare: append(slices.Clip(before.Bare), id),
	})
	return t.giveBack(ctx, id, l)
}

func (t *trial) giveBack(ctx context.Context, id uint64, l *ldlm.Lock) error {
	asked := monotonic()
	if err := l.Release(ctx); err != nil {
		return err
	}
	t.notes.released(id, asked)
	return nil
}

// cutClients cuts a machine of clients off from members for longer than sessions live.
func cutClients(ctx context.Context, t *trial) error {
	c := pick(t.chance, t.clients)
	return t.cut(ctx, []*machine{c.machine}, t.others(nil), time.Second, 3*sessionTTL)
}
