package main

import (
	"bytes"
	"net/netip"
	"os"
	"testing"
	"time"
)

// wired is a machine without a namespace, and what was delivered to it.
func wired(t *testing.T, address string) (m *machine, out *os.File) {
	t.Helper()
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // the fabric may have closed it
		if err := out.Close(); err != nil {
			t.Error(err)
		}
	})
	return &machine{address: netip.MustParseAddr(address), tun: in, work: make(chan func())}, out
}

// packet is an IPv4 packet, as far as the fabric looks at it.
func packet(to string, payload byte) []byte {
	p := make([]byte, 20, 21)
	p[0] = 4<<4 | 5
	copy(p[16:], netip.MustParseAddr(to).AsSlice())
	return append(p, payload)
}

func TestFabric(t *testing.T) {
	a, _ := wired(t, "10.0.0.1")
	b, arrived := wired(t, "10.0.0.2")
	f := newFabric(1)
	f.add(a)
	f.add(b)
	expect := func(what string, payloads ...byte) {
		t.Helper()
		got := make([]byte, 21*len(payloads))
		for n := 0; n < len(got); {
			more, err := arrived.Read(got[n:])
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			n += more
		}
		var want []byte
		for _, p := range payloads {
			want = append(want, packet("10.0.0.2", p)...)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: %x arrived, want %x", what, got, want)
		}
	}
	one, other := []*machine{a}, []*machine{b}
	f.pass(a, b, packet("10.0.0.2", 1))
	expect("nothing is wrong", 1)
	f.harm(one, other, ill{cut: true})
	f.pass(a, b, packet("10.0.0.2", 2))
	f.harm(one, other, ill{lost: 1})
	f.pass(a, b, packet("10.0.0.2", 3))
	f.harm(one, other, ill{doubled: 1})
	f.pass(a, b, packet("10.0.0.2", 4))
	expect("cut, lost, then twice", 4, 4)
	f.harm(one, other, ill{late: time.Millisecond})
	f.pass(a, b, packet("10.0.0.2", 5))
	expect("late", 5)
	f.heal()
	f.harm(other, one, ill{cut: true})
	f.pass(a, b, packet("10.0.0.2", 6))
	expect("cut in the other direction", 6)
	f.close()
}

func TestDestination(t *testing.T) {
	if to, ok := destination(packet("10.0.0.2", 1)); !ok || to.String() != "10.0.0.2" {
		t.Errorf("%v, %v", to, ok)
	}
	for _, other := range [][]byte{nil, make([]byte, 19), append([]byte{6 << 4}, make([]byte, 39)...)} {
		if to, ok := destination(other); ok {
			t.Errorf("%x goes to %v", other, to)
		}
	}
}
