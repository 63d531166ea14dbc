package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/journal/raftlog"
	"github.com/ldlm-io/ldlm/internal/journal/raftlog/raftlogtest"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// trio is three members on a network in memory.
type trio struct {
	t        *testing.T
	network  *raftlogtest.Network
	names    []string
	nodes    map[string]*Node
	journals map[string]*raftlog.Journal
	ready    chan struct{} // closed when all run
	newer    atomic.Bool   // all say that they know the newest format
}

// memberLeaseOfTrio is 1.12 times two beats, a write and an election.
const memberLeaseOfTrio = 7 * lock.Second

func openTrio(t *testing.T) *trio {
	t.Helper()
	return openTrioWith(t, func(*Config) {})
}

func openTrioWith(t *testing.T, complete func(*Config)) *trio {
	t.Helper()
	w := &trio{
		t: t, network: raftlogtest.New(t), names: []string{"a", "b", "c"},
		nodes: map[string]*Node{}, journals: map[string]*raftlog.Journal{}, ready: make(chan struct{}),
	}
	for _, name := range w.names {
		dir, err := os.MkdirTemp("/dev/shm", "node") //nolint:usetesting // that is where fsyncs cost nothing
		if err != nil {
			dir = t.TempDir()
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		c := w.network.Config(raftlog.Config{Dir: dir, Member: name, Cluster: "0123", SegmentBytes: 64 << 10, RefuseFreeBytes: 1}, w.names...)
		cfg := Config{
			Member: name, Shared: true, SettleWithin: 4250 * time.Millisecond,
			Settings: lock.Settings{MemberLease: memberLeaseOfTrio}, RestartLease: time.Minute, Peers: w.peers(name),
		}
		complete(&cfg)
		n, err := Open(cfg, func(m journal.Machine) (journal.Journal, error) {
			j, err := raftlog.Open(c, m)
			if err == nil {
				w.journals[name] = j
				w.network.Serve(name, j)
			}
			return j, err
		})
		if err != nil {
			t.Fatal(err)
		}
		w.nodes[name] = n
	}
	close(w.ready)
	for _, n := range w.nodes {
		<-n.Begun()
	}
	return w
}

func (w *trio) close() {
	for name, n := range w.nodes {
		if err := n.Close(); err != nil {
			w.t.Errorf("close %s: %v", name, err)
		}
	}
}

// closeQuietly is for members of whom some have failed.
func (w *trio) closeQuietly() {
	for _, n := range w.nodes {
		_ = n.Close() // as the comment says
	}
}

// leader waits until a member knows that it leads.
func (w *trio) leader() string {
	for {
		for _, name := range w.names {
			if l, known := w.journals[name].Leader(); known && l.Member == name {
				return name
			}
		}
		<-time.After(20 * time.Millisecond)
	}
}

// equal waits until all tables are the same.
func (w *trio) equal() {
	w.t.Helper()
	for range 1000 {
		same := true
		var first lock.Hash
		for i, name := range w.names {
			n := w.nodes[name]
			n.mu.Lock()
			h := n.table.Hash()
			n.mu.Unlock()
			if i == 0 {
				first = h
			}
			same = same && h == first
		}
		if same {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	w.t.Error("the tables differ")
}

// umpire sees everything: who believes to hold the lock.
type umpire struct {
	t      *testing.T
	holder string
	token  lock.Token
	grants int
	mu     sync.Mutex
}

func (u *umpire) begin(who string, token lock.Token) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.holder != "" {
		u.t.Errorf("%s believes to hold the lock, and so does %s", who, u.holder)
	}
	if token <= u.token {
		u.t.Errorf("%s has token %d after %d", who, token, u.token)
	}
	u.holder, u.token = who, token
	u.grants++
}

func (u *umpire) end(who string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.holder == who {
		u.holder = ""
	}
}

// believer is a client with a session that it resumes at other members. It reaches all of them.
type believer struct {
	w      *trio
	u      *umpire
	name   string
	chance *rand.Rand
	secret lock.SecretHash
	serial int

	link  *Link
	at    string
	until time.Time // belief in the session
	holds bool
	token lock.Token
	seq   uint64
}

// step is how often it looks around.
const step = 50 * time.Millisecond

// during has something done by others, and meanwhile takes care that the belief ends in
// time; false if it did.
func (b *believer) during(what func()) bool {
	done := make(chan struct{})
	go func() { defer close(done); what() }()
	for {
		left := time.Until(b.until)
		if left <= 0 {
			if b.holds {
				b.holds = false
				b.u.end(b.name)
			}
			<-done
			return false
		}
		select {
		case <-done:
			return true
		case <-time.After(left):
		}
	}
}

func (b *believer) anywhere() *Node {
	b.at = b.w.names[b.chance.IntN(len(b.w.names))]
	return b.w.nodes[b.at]
}

// open opens a session; false if that failed.
func (b *believer) open(ctx context.Context) bool {
	b.serial++
	b.secret, b.seq = lock.SecretHash([]byte(fmt.Sprintf("%-32s", fmt.Sprint(b.name, " ", b.serial)))), 0
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	sent := time.Now()
	l, o, err := b.anywhere().Attach(ctx, &lock.Open{Secret: b.secret})
	if err != nil || o.Code != lock.OK {
		return false
	}
	b.link, b.until = l, sent.Add(validFor(o.TTL))
	return true
}

// resume goes on at another member; false if the belief ended.
func (b *believer) resume(ctx context.Context) bool {
	number := b.link.Session()
	b.link.Detach(0, false)
	for {
		var l *Link
		var o lock.Outcome
		var err error
		sent := time.Now()
		if !b.during(func() {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			l, o, err = b.anywhere().Resume(ctx, &lock.Resume{Session: number, Secret: b.secret})
		}) {
			if l != nil {
				l.Detach(0, false)
			}
			return false
		}
		if err == nil && o.Code == lock.OK {
			b.link, b.until = l, sent.Add(validFor(o.TTL))
			return true
		}
		if err == nil || !b.during(func() { <-time.After(step) }) {
			if b.holds {
				b.holds = false
				b.u.end(b.name)
			}
			return false
		}
	}
}

// ask carries a request to its outcome, over as many connections as it takes.
func (b *believer) ask(ctx context.Context, command func(lock.Caller) lock.Command) (o lock.Outcome, ok bool) {
	b.seq++
	for {
		var err error
		var got []Notice
		if !b.during(func() {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			caller := lock.Caller{Session: b.link.Session(), Attach: b.link.Number(), Seq: b.seq}
			err = b.link.Submit(ctx, []lock.Command{command(caller)})
			got = b.link.Take(nil)
		}) {
			return o, false
		}
		for _, n := range got {
			if n.Kind == Answer && n.Seq == b.seq && n.Outcome.Code != lock.Superseded {
				return n.Outcome, true
			}
		}
		if err == nil && b.link.Reason() == nil {
			continue
		}
		if !b.resume(ctx) {
			return o, false
		}
	}
}

// keepAlive asks for the session to be kept.
func (b *believer) keepAlive() {
	sent := time.Now()
	if valid, ok := b.link.Confirm(); ok {
		b.until = sent.Add(valid)
	}
}

// live is one session: it takes the lock, believes in it for a while, and gives it back.
func (b *believer) live(ctx context.Context) {
	defer func() {
		if b.holds {
			b.holds = false
			b.u.end(b.name)
		}
		b.link.Detach(0, false)
	}()
	for stop := ctx.Done(); ; {
		select {
		case <-stop:
			return
		default:
		}
		ctx := context.WithoutCancel(ctx)
		key := lock.Key{byte(b.serial), byte(b.serial >> 8), byte(b.seq), b.name[0], 1}
		o, ok := b.ask(ctx, func(c lock.Caller) lock.Command {
			return &lock.Acquire{Caller: c, Items: []lock.Item{{Name: "x", Size: 1, Permits: 1}}, Key: key}
		})
		switch {
		case !ok || o.Code == lock.SessionLost:
			return
		case o.Code == lock.OK:
			b.holds, b.token = true, o.Token
			b.u.begin(b.name, o.Token)
			if !b.work(ctx) {
				return
			}
		}
		if !b.work(ctx) {
			return
		}
	}
}

// work passes some time, keeps the session, and gives the lock back.
func (b *believer) work(ctx context.Context) bool {
	for range 1 + b.chance.IntN(40) {
		b.keepAlive()
		if b.link.Reason() != nil && !b.resume(ctx) {
			return false
		}
		if !b.during(func() { <-time.After(step) }) {
			return false
		}
	}
	if !b.holds {
		return true
	}
	// Whoever gives back believes no more.
	b.holds = false
	b.u.end(b.name)
	_, ok := b.ask(ctx, func(c lock.Caller) lock.Command {
		return &lock.Release{Caller: c, Hold: lock.Hold{Name: "x", Token: b.token}}
	})
	return ok
}

// run goes on until ctx ends; what is under way then comes to its end.
func (b *believer) run(ctx context.Context) {
	for ctx.Err() == nil {
		if b.open(context.WithoutCancel(ctx)) {
			b.live(ctx)
		}
		<-time.After(step)
	}
}

// Members are cut off again and again, most often the one that leads, for moments and
// for longer than any lease. Clients reach them all the time. No two clients ever
// believe to hold the lock, tokens grow, and in the end all tables are the same.
func TestMembersThroughPartitions(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { partitions(t, seed, 60) })
		})
	}
}

func partitions(t *testing.T, seed uint64, rounds int) {
	w := openTrio(t)
	defer w.close()
	u := &umpire{t: t}
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for i := range 5 {
		b := &believer{w: w, u: u, name: string(rune('A' + i)), chance: rand.New(rand.NewPCG(seed, uint64(i)))}
		clients.Go(func() { b.run(ctx) })
	}
	chance := rand.New(rand.NewPCG(seed, 100))
	for range rounds {
		<-time.After(time.Duration(chance.IntN(3000)) * time.Millisecond)
		name := w.leader()
		if chance.IntN(4) == 0 {
			name = w.names[chance.IntN(3)]
		}
		w.network.Cut(name)
		<-time.After(time.Duration(chance.IntN(12_000)) * time.Millisecond)
		w.network.Heal(name)
	}
	stop()
	clients.Wait()
	w.leader()
	for _, name := range w.names {
		for w.nodes[name].catchUp(t.Context()) != nil {
			<-time.After(20 * time.Millisecond)
		}
	}
	w.equal()
	t.Logf("%d grants", u.grants)
	if u.grants < rounds {
		t.Errorf("only %d grants in %d rounds: nothing was tried", u.grants, rounds)
	}
}

// A member that the others do not hear keeps nobody's session, and refuses soon.
func TestMemberCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := openTrio(t)
		defer w.close()
		name := w.leader()
		n := w.nodes[name]
		l, o, err := n.Attach(t.Context(), &lock.Open{Secret: lock.SecretHash{1}, OnEnd: lock.OnEndAlways})
		if err != nil || o.Code != lock.OK {
			t.Fatalf("%v, %v", o.Code, err)
		}
		<-time.After(10 * time.Second) // beats keep it
		if _, ok := l.Confirm(); !ok {
			t.Fatal("a member that the others hear confirms nothing")
		}
		w.network.Cut(name)
		cut := time.Now()
		<-l.Ended()
		// What a member may believe, less the margin; the newest beat was a second old at most.
		if took := time.Since(cut); took > 6250*time.Millisecond || took < 4*time.Second {
			t.Errorf("the link ended after %v", took)
		}
		if _, ok := l.Confirm(); ok {
			t.Error("it confirms after its lease")
		}
		begin := time.Now()
		if _, _, err := n.Attach(t.Context(), &lock.Open{Secret: lock.SecretHash{2}}); !errors.Is(err, journal.ErrRefused) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("it took %v to refuse", took)
		}
		w.network.Heal(name)
		for {
			if _, o, err := n.Attach(t.Context(), &lock.Open{Secret: lock.SecretHash{3}}); err == nil && o.Code == lock.OK {
				break
			}
			<-time.After(50 * time.Millisecond)
		}
		w.equal()
	})
}

// A member that stood still confirms nothing, also before it has looked at its own lease:
// the others may have given its sessions up.
func TestOverdueConfirmation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := openTrio(t)
		defer w.close()
		n := w.nodes["a"]
		l, o, err := n.Attach(t.Context(), &lock.Open{Secret: lock.SecretHash{1}})
		if err != nil || o.Code != lock.OK {
			t.Fatalf("%v, %v", o.Code, err)
		}
		if _, ok := l.Confirm(); !ok {
			t.Fatal("a member that the others hear confirms nothing")
		}
		n.mu.Lock()
		n.lease.length = 0 // as if it had stood still since the newest beat
		n.mu.Unlock()
		if valid, ok := l.Confirm(); ok {
			t.Errorf("confirmed for %v", valid)
		}
	})
}

// A member that stood still learns of a grant when it may be somebody else's already: it
// ends the connection instead of telling the client.
func TestOverdueGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := openTrio(t)
		defer w.close()
		n := w.nodes["a"]
		l, o, err := n.Attach(t.Context(), &lock.Open{Secret: lock.SecretHash{1}, OnEnd: lock.OnEndAlways})
		if err != nil || o.Code != lock.OK {
			t.Fatalf("%v, %v", o.Code, err)
		}
		if o, err := n.Call(t.Context(), ask(l, 0, 1, "a")); err != nil || o.Code != lock.OK {
			t.Fatalf("%v, %v", o.Code, err)
		}
		n.mu.Lock()
		n.lease.length = 0 // as if it had stood still since the newest beat
		n.mu.Unlock()
		if _, err := n.Call(t.Context(), ask(l, 1, 1, "b")); !errors.Is(err, journal.ErrUnknown) {
			t.Errorf("got %v", err)
		}
		<-l.Ended()
	})
}
