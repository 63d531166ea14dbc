package main

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// direction is from one machine to another.
type direction struct{ from, to netip.Addr }

// ill is what happens to packets in one direction. The zero value harms none.
type ill struct {
	cut bool
	// lost and doubled are shares of the packets, from 0 to 1.
	lost, doubled float64
	// late is how long a packet may be under way; each takes as long as chance will,
	// so later ones overtake.
	late time.Duration
}

// fabric carries packets between machines, and loses, delays and doubles them.
type fabric struct {
	machines map[netip.Addr]*machine
	readers  sync.WaitGroup

	mu     sync.Mutex
	chance *rand.Rand
	ills   map[direction]ill
	closed bool
	flying sync.WaitGroup
}

func newFabric(seed uint64) *fabric {
	return &fabric{machines: map[netip.Addr]*machine{}, ills: map[direction]ill{}, chance: rand.New(rand.NewPCG(seed, 0xfab))}
}

// add connects machines. It comes before run.
func (f *fabric) add(m *machine) { f.machines[m.address] = m }

// run begins to carry.
func (f *fabric) run() {
	for _, m := range f.machines {
		f.readers.Go(func() { f.carry(m) })
	}
}

// carry takes what comes out of a machine, until that is closed.
func (f *fabric) carry(m *machine) {
	packet := make([]byte, mtu+64)
	for {
		n, err := m.tun.Read(packet)
		if err != nil {
			return
		}
		to, ok := destination(packet[:n])
		if target := f.machines[to]; ok && target != nil {
			f.pass(m, target, packet[:n])
		}
	}
}

// destination is where an IPv4 packet goes.
func destination(packet []byte) (netip.Addr, bool) {
	const header, at, version = 20, 16, 4
	if len(packet) < header || packet[0]>>4 != version {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(packet[at:header])
}

// pass delivers a packet as well as the present ills let it.
func (f *fabric) pass(from, to *machine, packet []byte) {
	copies, late := f.fate(direction{from.address, to.address})
	if copies == 0 || late == 0 {
		to.deliver(packet, copies)
		return
	}
	packet = slices.Clone(packet)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	f.flying.Add(1)
	time.AfterFunc(late, func() {
		defer f.flying.Done()
		to.deliver(packet, copies)
	})
}

// fate is how often a packet arrives, and after how long.
func (f *fabric) fate(d direction) (copies int, late time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, sick := f.ills[d]
	switch {
	case !sick:
		return 1, 0
	case i.cut, f.chance.Float64() < i.lost:
		return 0, 0
	}
	if i.late > 0 {
		late = time.Duration(f.chance.Int64N(int64(i.late)))
	}
	if f.chance.Float64() < i.doubled {
		return 2, late
	}
	return 1, late
}

// deliver puts a packet into a machine. One whose interface is gone loses it.
func (m *machine) deliver(packet []byte, copies int) {
	for range copies {
		_, _ = m.tun.Write(packet)
	}
}

// harm sets what happens to packets from any of one side to any of the other.
func (f *fabric) harm(from, to []*machine, i ill) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range from {
		for _, b := range to {
			if a != b {
				f.ills[direction{a.address, b.address}] = i
			}
		}
	}
}

// heal ends all ills.
func (f *fabric) heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.ills)
}

// close ends all machines, whose processes must have ended.
func (f *fabric) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.flying.Wait()
	for _, m := range f.machines {
		m.close()
	}
	f.readers.Wait()
}
