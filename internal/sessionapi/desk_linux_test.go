package sessionapi_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/journal/memory"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/node"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// port is a server with one poller, at an address of this machine.
type port struct {
	t      *testing.T
	server *sessionapi.Server
	addr   net.Addr
}

// openPort opens it on the loopback over a node, until the test is over.
func openPort(t *testing.T, n sessionapi.Node, change ...func(*sessionapi.Config)) *port {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return openPortOn(t, l, n, change...)
}

func openPortOn(t *testing.T, l net.Listener, n sessionapi.Node, change ...func(*sessionapi.Config)) *port {
	t.Helper()
	config := sessionapi.Config{Node: n, Immediate: true, Pollers: 1}
	for _, f := range change {
		f(&config)
	}
	p := &port{t: t, server: sessionapi.New(config), addr: l.Addr()}
	plain := acceptor{l}
	served := make(chan error, 1)
	go func() { served <- p.server.ServeListener(context.Background(), plain) }()
	t.Cleanup(func() {
		_ = l.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
		p.server.Close()
	})
	return p
}

// acceptor is a listener of connections without a preface.
type acceptor struct{ net.Listener }

func (a acceptor) Accept() (*wire.Conn, error) {
	c, err := a.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return wire.NewConn(c, time.Minute), nil
}

// dial connects a client that has a session.
func (p *port) dial(secret byte) *wire.Conn {
	p.t.Helper()
	c := p.connect()
	w := p.hello(c, secret).GetWelcome()
	if w == nil {
		p.t.Fatal("no welcome")
	}
	return c
}

func (p *port) connect() *wire.Conn {
	p.t.Helper()
	raw, err := net.Dial(p.addr.Network(), p.addr.String())
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = raw.Close() })
	if err := raw.(interface{ SetReadBuffer(int) error }).SetReadBuffer(64 << 10); err != nil { // else it may grow to much
		p.t.Fatal(err)
	}
	return wire.NewConn(raw, 0)
}

// hello says hello and returns what it is answered.
func (p *port) hello(c *wire.Conn, secret byte) *ldlmv2.ServerFrame {
	p.t.Helper()
	h := &ldlmv2.Hello{Version: 2, Secret: bytes.Repeat([]byte{secret}, 16), TtlUs: (10 * time.Minute).Microseconds()}
	return p.ask(c, &ldlmv2.ClientFrame{Hello: h})
}

// ask sends a frame and returns the next one that comes.
func (p *port) ask(c *wire.Conn, f *ldlmv2.ClientFrame) *ldlmv2.ServerFrame {
	p.t.Helper()
	if err := c.WriteClient(f); err != nil {
		p.t.Fatal(err)
	}
	answer := new(ldlmv2.ServerFrame)
	if err := c.ReadServer(answer); err != nil {
		p.t.Fatal(err)
	}
	return answer
}

func openNode(t *testing.T) *node.Node {
	t.Helper()
	settings := lock.DefaultSettings()
	settings.MaxTTL = 10 * lock.Minute // nobody falls silent, however slow the machine is
	n, err := node.Open(node.Config{Settings: settings}, memory.Open)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// counting counts the commands that a node is asked to carry out.
type counting struct {
	sessionapi.Node
	mu    sync.Mutex
	links map[lock.SessionNumber]*countingLink
}

type countingLink struct {
	sessionapi.Link
	mu       sync.Mutex
	commands int
}

func (n *counting) Attach(ctx context.Context, open *lock.Open) (sessionapi.Link, lock.Outcome, error) {
	l, o, err := n.Node.Attach(ctx, open)
	if l == nil {
		return l, o, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	c := &countingLink{Link: l}
	n.links[l.Session()] = c
	return c, o, err
}

func (n *counting) NewRound() sessionapi.Round { return countingRound{n.Node.NewRound()} }

type countingRound struct{ sessionapi.Round }

func (r countingRound) Add(l sessionapi.Link, commands []lock.Command) {
	c := l.(*countingLink)
	c.mu.Lock()
	c.commands += len(commands)
	c.mu.Unlock()
	r.Round.Add(c.Link, commands)
}

// most is how many commands of one client were carried out.
func (n *counting) most() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	most := 0
	for _, l := range n.links {
		l.mu.Lock()
		most = max(most, l.commands)
		l.mu.Unlock()
	}
	return most
}

// One frame may ask for much that is answered with more. While its client reads none
// of the answers, the rest of the frame waits, and others are served; all of it is
// answered in the end.
func TestAnswersWaitForTheirReader(t *testing.T) {
	const asked = 12_000 // about 4 KiB of answer each, which is more than all buffers
	n := &counting{Node: below{openNode(t)}, links: map[lock.SessionNumber]*countingLink{}}
	p := openPort(t, n)
	holder := p.dial(1)
	name := strings.Repeat("x", 100)
	taken := acquire(1, 1, name, 0)
	taken.Acquire.Note = &ldlmv2.Note{Value: bytes.Repeat([]byte{'v'}, 4096)}
	if a := p.ask(holder, &ldlmv2.ClientFrame{Ops: []*ldlmv2.Op{taken}}).GetAnswers(); len(a) != 1 || a[0].GetCode() != ok {
		t.Fatal(a)
	}
	greedy := p.dial(2)
	all := &ldlmv2.ClientFrame{KeepAlive: &ldlmv2.KeepAlive{Number: 7}}
	for i := range asked {
		all.Ops = append(all.Ops, acquire(1, uint64(i+1), name, 0))
	}
	if err := greedy.WriteClient(all); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(asked/128 + 10) { // a batch of the other's may go before each
		f := p.ask(holder, &ldlmv2.ClientFrame{KeepAlive: &ldlmv2.KeepAlive{Number: i}})
		if f.GetKeepAlive().GetNumber() != i {
			t.Fatalf("keep-alive %d is answered by %v", i, f)
		}
	}
	if did := n.most(); did >= asked {
		t.Errorf("%d operations were carried out for a client that reads nothing", did)
	}
	if err := readAnswers(greedy, asked); err != nil {
		t.Fatal(err)
	}
	if a := p.ask(greedy, &ldlmv2.ClientFrame{Ops: []*ldlmv2.Op{acquire(2, 1, "y", 0)}}).GetAnswers(); len(a) != 1 || a[0].GetCode() != ok {
		t.Error(a) // it goes on as ever
	}
}

// readAnswers reads as many answers in slot 1, in their order, and a keep-alive.
func readAnswers(c *wire.Conn, many int) error {
	heard := false
	var f ldlmv2.ServerFrame
	for n := 0; n < many; {
		if err := c.ReadServer(&f); err != nil {
			return err
		}
		for _, a := range f.GetAnswers() {
			if n++; a.GetSeq() != uint64(n) || a.GetCode() != held {
				return fmt.Errorf("answer %d: %d %v", n, a.GetSeq(), a.GetCode())
			}
		}
		heard = heard || f.GetKeepAlive().GetNumber() == 7
	}
	if !heard {
		return fmt.Errorf("the keep-alive is not confirmed")
	}
	return nil
}

// gate is a node whose rounds can be held up, and says how many have a part in each.
type gate struct {
	sessionapi.Node
	hold  atomic.Bool
	held  chan struct{} // gets a token when a round is held up
	open  chan struct{} // closed to let it go on
	sizes chan int
}

func (n *gate) NewRound() sessionapi.Round { return &gatedRound{n.Node.NewRound(), n, 0} }

type gatedRound struct {
	sessionapi.Round
	gate *gate
	size int
}

func (r *gatedRound) Add(l sessionapi.Link, commands []lock.Command) {
	r.size++
	r.Round.Add(l, commands)
}

func (r *gatedRound) Submit(ctx context.Context, done func(i int, err error)) {
	if r.gate.hold.Swap(false) {
		r.gate.held <- struct{}{}
		<-r.gate.open
	}
	r.Round.Submit(ctx, done)
	r.gate.sizes <- r.size
	r.size = 0
}

// crowd is a node whose next round is held up, and some clients whom a poller serves
// over sockets where what is written is there at once.
func crowd(t *testing.T, clients int) (*gate, []*wire.Conn) {
	t.Helper()
	n := &gate{
		Node: below{openNode(t)}, held: make(chan struct{}), open: make(chan struct{}),
		sizes: make(chan int, 10*clients),
	}
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "port"))
	if err != nil {
		t.Fatal(err)
	}
	p := openPortOn(t, l, n)
	var conns []*wire.Conn
	for i := range clients {
		conns = append(conns, p.dial(byte(i+1)))
	}
	for i, c := range conns { // so that the poller has them all
		f := &ldlmv2.ClientFrame{KeepAlive: &ldlmv2.KeepAlive{Number: uint64(i)}}
		if p.ask(c, f).GetKeepAlive().GetNumber() != uint64(i) {
			t.Fatal("no keep-alive")
		}
	}
	n.hold.Store(true)
	return n, conns
}

// wantSizes checks how many have a part in each of the next rounds.
func (n *gate) wantSizes(t *testing.T, want ...int) {
	t.Helper()
	all, got := 0, []int(nil)
	for _, size := range want {
		all += size
	}
	for all > 0 {
		size := <-n.sizes
		got = append(got, size)
		all -= size
	}
	if !slices.Equal(got, want) {
		t.Errorf("the rounds have %v parts, want %v", got, want)
	}
}

// What several clients ask while the poller is busy goes to the node in one round, in
// which each keeps the order of its own operations.
func TestOneRoundForSeveralClients(t *testing.T) {
	const clients = 5
	n, conns := crowd(t, clients)
	first := &ldlmv2.ClientFrame{Ops: []*ldlmv2.Op{acquire(1, 1, "first", 0)}}
	if err := conns[0].WriteClient(first); err != nil {
		t.Fatal(err)
	}
	<-n.held
	for i, c := range conns[1:] {
		name := fmt.Sprint(i)
		for slot := range uint32(2) { // the same lock twice, in two frames: the second is refused
			f := &ldlmv2.ClientFrame{Ops: []*ldlmv2.Op{acquire(slot, 1, name, 0)}}
			if err := c.WriteClient(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(n.open)
	n.wantSizes(t, 1, clients-1)
	for i, c := range conns {
		want := []ldlmv2.Code{ok, held}
		if i == 0 {
			want = want[:1]
		}
		var f ldlmv2.ServerFrame
		for slot := 0; slot < len(want); {
			if err := c.ReadServer(&f); err != nil {
				t.Fatal(err)
			}
			for _, a := range f.GetAnswers() {
				if a.GetCode() != want[slot] {
					t.Errorf("client %d, operation %d: %v", i, slot, a)
				}
				slot++
			}
		}
	}
}

// A round takes no more than a batch of one client may, for nobody is served meanwhile:
// neither more operations nor more bytes.
func TestRoundsAreBounded(t *testing.T) {
	many := &ldlmv2.ClientFrame{}
	for slot := range uint32(120) {
		many.Ops = append(many.Ops, acquire(slot, 1, "x", 0))
	}
	large := &ldlmv2.ClientFrame{Ops: []*ldlmv2.Op{{Slot: 1, Seq: 1, AcquireAll: &ldlmv2.AcquireAll{}}}}
	for range 6000 { // far less in a frame than what it is read into
		large.Ops[0].AcquireAll.Items = append(large.Ops[0].AcquireAll.Items, &ldlmv2.Item{Name: "x"})
	}
	for name, tt := range map[string]struct {
		frame *ldlmv2.ClientFrame
		sizes []int
	}{
		"operations": {many, []int{1, 8, 2}},
		"bytes":      {large, []int{1, 2, 2, 2, 2, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			n, conns := crowd(t, 10)
			if err := conns[0].WriteClient(&ldlmv2.ClientFrame{Ops: []*ldlmv2.Op{acquire(999, 1, "first", 0)}}); err != nil {
				t.Fatal(err)
			}
			<-n.held
			for _, c := range conns {
				if err := c.WriteClient(tt.frame); err != nil {
					t.Fatal(err)
				}
			}
			close(n.open)
			n.wantSizes(t, tt.sizes...)
		})
	}
}

// limited is a port whose clients may wait for nothing, and rest as a tempo says.
func limited(t *testing.T, n *counting, tempo auth.Tempo) *port {
	t.Helper()
	return openPort(t, n, func(c *sessionapi.Config) { c.Gate = auth.NewGate(auth.GateConfig{Tempo: tempo}) })
}

// crowdedNode is a node at which one request waits, and no other may.
func crowdedNode(t *testing.T) *counting {
	t.Helper()
	settings := lock.DefaultSettings()
	settings.MaxTTL, settings.MaxWaiters = 10*lock.Minute, 1
	n, err := node.Open(node.Config{Settings: settings}, memory.Open)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return &counting{Node: below{n}, links: map[lock.SessionNumber]*countingLink{}}
}

// refused has a client ask for what is beyond the limit.
func (p *port) refused(c *wire.Conn, seq uint64) {
	p.t.Helper()
	f := &ldlmv2.ClientFrame{Ops: []*ldlmv2.Op{acquire(3, seq, "x", time.Hour)}}
	if a := p.ask(c, f).GetAnswers(); len(a) != 1 || a[0].GetCode() != ldlmv2.Code_CODE_LIMIT {
		p.t.Fatalf("answered by %v", a)
	}
}

// crowdIn has a client hold the lock x and wait for it: nobody else may.
func (p *port) crowdIn(c *wire.Conn) {
	p.t.Helper()
	for slot, want := range []ldlmv2.Code{ok, ldlmv2.Code_CODE_QUEUED} {
		f := &ldlmv2.ClientFrame{Ops: []*ldlmv2.Op{acquire(uint32(slot+1), 1, "x", time.Hour)}}
		if a := p.ask(c, f).GetAnswers(); len(a) != 1 || a[0].GetCode() != want {
			p.t.Fatalf("answered by %v", a)
		}
	}
}

// While a client rests others are served, and the port closes without waiting for it.
func TestOthersAreServedWhileOneRests(t *testing.T) {
	n := crowdedNode(t)
	p := limited(t, n, auth.Tempo{Every: time.Hour, Free: 1, Longest: time.Hour})
	quiet, hasty := p.dial(1), p.dial(2)
	p.crowdIn(quiet)
	p.refused(hasty, 1)
	p.refused(hasty, 2) // and from now on it rests
	if err := hasty.WriteClient(&ldlmv2.ClientFrame{Ops: []*ldlmv2.Op{acquire(1, 1, "free", 0)}}); err != nil {
		t.Fatal(err)
	}
	for number := range uint64(100) {
		f := p.ask(quiet, &ldlmv2.ClientFrame{KeepAlive: &ldlmv2.KeepAlive{Number: number + 1}})
		if f.GetKeepAlive().GetNumber() != number+1 {
			t.Fatalf("answered by %v", f)
		}
	}
	if got := n.most(); got != 2 {
		t.Errorf("%d commands of the client that rests were carried out, want 2", got)
	}
}

// Who rests is heard again, whatever came meanwhile.
func TestWhoRestsIsHeardAgain(t *testing.T) {
	p := limited(t, crowdedNode(t), auth.Tempo{Every: time.Millisecond, Free: 1, Longest: time.Millisecond})
	hasty := p.dial(1)
	p.crowdIn(hasty)
	for seq := range uint64(200) {
		p.refused(hasty, seq+1)
	}
	var ops []*ldlmv2.Op
	for slot := range uint32(500) {
		ops = append(ops, acquire(slot+4, 1, "x", time.Hour))
	}
	if err := hasty.WriteClient(&ldlmv2.ClientFrame{Ops: ops}); err != nil {
		t.Fatal(err)
	}
	var f ldlmv2.ServerFrame
	for answered := 0; answered < len(ops); answered += len(f.GetAnswers()) {
		if err := hasty.ReadServer(&f); err != nil {
			t.Fatalf("after %d answers: %v", answered, err)
		}
	}
}
