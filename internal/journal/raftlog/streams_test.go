package raftlog

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// pipes are streams in memory, of all members, by their addresses.
type pipes struct {
	mu   sync.Mutex
	come map[string]chan net.Conn
	open []net.Conn
}

// close ends all of them, as the port does when the journals have ended.
func (p *pipes) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.open {
		_ = c.Close()
	}
}

func (p *pipes) at(address string) chan net.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.come == nil {
		p.come = map[string]chan net.Conn{}
	}
	if p.come[address] == nil {
		p.come[address] = make(chan net.Conn)
	}
	return p.come[address]
}

// pipesOf are the pipes as one member has them. As those of the members' port, they go on
// when the journal has closed them.
type pipesOf struct {
	*pipes
	address string
	ended   <-chan struct{}
}

func (p *pipesOf) Accept() (net.Conn, error) {
	select {
	case c := <-p.at(p.address):
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}

func (p *pipesOf) Dial(_, address string, timeout time.Duration) (net.Conn, error) {
	here, there := net.Pipe()
	p.mu.Lock()
	p.open = append(p.open, here, there)
	p.mu.Unlock()
	select {
	case p.at(address) <- there:
		return here, nil
	case <-time.After(timeout):
		return nil, errors.New("nobody accepts")
	}
}

func (*pipesOf) Close() error     { return nil }
func (p *pipesOf) Addr() net.Addr { return memberAddr(p.address) }

type memberAddr string

func (memberAddr) Network() string  { return "memory" }
func (a memberAddr) String() string { return string(a) }

// The disk of the leader hangs, and so its process cannot end. Its transport has connections
// that it makes itself: the others hear of it no more, and elect another one.
func TestLeaderWhoseDiskHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, "a", "b", "c")
		net, ended := &pipes{}, make(chan struct{})
		c.complete = func(cfg *Config) {
			cfg.Transport, cfg.Streams = nil, &pipesOf{net, cfg.Member, ended}
		}
		for _, name := range c.names {
			c.open(name)
		}
		name, j, lead := c.leader("")
		if err := j.Propose(t.Context(), line("first")); err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		j.disk.fault = func(op, _ string) error {
			if op == opWrite {
				<-release
			}
			return nil
		}
		if err := j.Propose(t.Context(), line("second")); !errors.Is(err, journal.ErrFatal) {
			t.Errorf("the disk hangs: %v", err)
		}
		<-lead.Done()
		since := time.Now()
		other, next, _ := c.leader(name)
		if took := time.Since(since); took > 4*j.cfg.Timing.Heartbeat {
			t.Errorf("%s leads after %v", other, took)
		}
		if err := next.Propose(t.Context(), line("third")); err != nil {
			t.Error(err)
		}
		close(release)
		if err := j.Close(); !errors.Is(err, journal.ErrFatal) || !errors.Is(context.Cause(lead), journal.ErrFatal) {
			t.Errorf("the end: %v; that of the lead: %v", err, context.Cause(lead))
		}
		c.journals[name] = nil
		c.close()
		close(ended)
		net.close()
	})
}

// dialed are streams that note who was called.
type dialed struct {
	Streams
	names []string
}

func (d *dialed) Dial(member, _ string, _ time.Duration) (net.Conn, error) {
	d.names = append(d.names, member)
	return nil, errCrash
}

// At the address of a member that was removed a new one may be found, which is not to be
// spoken to before it is a member.
func TestNobodyIsSpokenToAtAnOldAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openCluster(t)
		defer c.close()
		name, j, _ := c.leader("")
		other, _ := j.member(c.other(name))
		d := &dialed{}
		layer := &streamLayer{Streams: d, journal: j}
		if _, err := layer.Dial(raft.ServerAddress(other.Address), time.Second); !errors.Is(err, errCrash) {
			t.Errorf("dial a member: %v", err)
		}
		if err := j.Remove(t.Context(), other.Member); err != nil {
			t.Fatal(err)
		}
		if _, err := layer.Dial(raft.ServerAddress(other.Address), time.Second); err == nil || errors.Is(err, errCrash) {
			t.Errorf("dial an address that is nobody's any more: %v", err)
		}
		if !slices.Equal(d.names, []string{other.Member}) {
			t.Errorf("called were %q, want the member and nobody else", d.names)
		}
	})
}
