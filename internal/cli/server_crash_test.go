package cli

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ldlm-io/ldlm"
)

// A server is killed again and again while clients of all kinds are busy with it. What
// was acknowledged holds afterwards: who has a lock keeps it, what was released is
// free, queues keep their order, and tokens grow. LDLM_CRASH_SLOW=1 does it for longer.
func TestKilledUnderLoad(t *testing.T) {
	lives, random := 6, rand.New(rand.NewPCG(1, 2))
	if os.Getenv("LDLM_CRASH_SLOW") != "" {
		lives = 300
	}
	v := newVictim(t)
	v.start()
	ctx, cancel := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	grants := newTally()
	counters := make([]hotLock, 3)
	for i := range counters {
		counters[i].name = "hot/" + strconv.Itoa(i)
	}
	for i := range 6 {
		c := v.dial("busy")
		hot := &counters[i%len(counters)]
		busy.Go(func() { hot.takeTurns(ctx, t, c, grants) })
	}
	line, books := newLine(v), []*book{newBook(t, "v1", &keysOfV1{v: v}), newBook(t, "rest", &keysOfREST{v: v})}
	for range lives {
		line.form()
		var asking sync.WaitGroup
		for _, b := range books {
			asking.Go(b.work)
		}
		for _, p := range []*tally{grants, books[0].done, books[1].done} {
			<-p.more // also a slow machine is to be busy
		}
		<-time.After(time.Duration(20+random.IntN(150)) * time.Millisecond) // whatever is under way then
		v.kill()
		asking.Wait()
		v.start()
		line.move()
		for _, b := range books {
			b.verify()
		}
	}
	cancel()
	busy.Wait()
	t.Logf("%d lives, %d native grants; v1: %s; REST: %s", lives, grants.n.Load(), books[0], books[1])
}

// tally counts what succeeds, and lets others wait for that.
type tally struct {
	n    atomic.Int64
	more chan struct{}
}

func newTally() *tally { return &tally{more: make(chan struct{}, 1)} }

func (p *tally) add() {
	p.n.Add(1)
	select {
	case p.more <- struct{}{}:
	default:
	}
}

// victim is a server in a process of its own, always on the same ports.
type victim struct {
	t                  *testing.T
	clients, rest, dir string
	process            *exec.Cmd
	said               *output
}

func newVictim(t *testing.T) *victim {
	t.Helper()
	v := &victim{t: t, dir: filepath.Join(shortDir(t), "data")}
	v.clients, v.rest = freePort(t), freePort(t)
	t.Cleanup(v.kill)
	return v
}

// start starts the server and waits until it serves.
func (v *victim) start() {
	v.t.Helper()
	v.said = newOutput()
	v.process = exec.Command(filepath.Join(programs, "ldlm-server"), "--data_dir", v.dir, "-l", v.clients, "-r", v.rest, "--ipc_socket_file", "")
	v.process.Stdout, v.process.Stderr = v.said, v.said
	if err := v.process.Start(); err != nil {
		v.t.Fatal(err)
	}
	ended, said := v.process, v.said
	go func() {
		_ = ended.Wait() // it is killed
		said.end()
	}()
	said.await(v.t, "Server runs")
}

// kill kills the server, and waits for its end.
func (v *victim) kill() {
	if v.process == nil {
		return
	}
	_ = v.process.Process.Kill() // an error says that it has ended
	v.process = nil
	v.said.mu.Lock()
	defer v.said.mu.Unlock()
	for !v.said.over {
		v.said.more.Wait()
	}
}

// dial makes a native client that outlives many servers.
func (v *victim) dial(program string) *ldlm.Client {
	v.t.Helper()
	c, err := ldlm.Dial(v.clients, ldlm.WithTTL(time.Minute), ldlm.WithClientInfo(ldlm.ClientInfo{Program: program}))
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { _ = c.Close() })
	return c
}

// hotLock is a lock that many want, and what only its holder changes.
type hotLock struct {
	name  string
	inUse atomic.Bool
	token uint64 // of the last holder; guarded by the lock itself
}

// takeTurns takes the lock and lets it go until ctx ends.
func (h *hotLock) takeTurns(ctx context.Context, t *testing.T, c *ldlm.Client, grants *tally) {
	for ctx.Err() == nil {
		l, err := c.Lock(ctx, h.name)
		if err != nil {
			if ctx.Err() == nil {
				t.Errorf("lock %s: %v", h.name, err)
			}
			return
		}
		grants.add()
		if !h.inUse.CompareAndSwap(false, true) {
			t.Errorf("%s has two holders", h.name)
		}
		if l.Token() <= h.token {
			t.Errorf("%s: token %d was granted after %d", h.name, l.Token(), h.token)
		}
		h.token = l.Token()
		h.inUse.Store(false)
		// On a busy machine the next server may come too late for an answer.
		if err := l.Release(context.WithoutCancel(ctx)); err != nil && !errors.Is(err, ldlm.ErrUnknownOutcome) {
			t.Errorf("release %s: %v", h.name, err)
		}
	}
}

// line is a lock with a queue whose order is known.
type line struct {
	v      *victim
	client []*ldlm.Client
	admin  *ldlm.Admin
	holder *ldlm.Lock
	turns  chan turn
}

// turn is the end of one wait.
type turn struct {
	place int
	lock  *ldlm.Lock
	err   error
}

const lineName = "line"

func newLine(v *victim) *line {
	l := &line{v: v, turns: make(chan turn, 1)}
	for range 4 {
		l.client = append(l.client, v.dial("line"))
	}
	l.admin = l.client[0].Admin()
	return l
}

// form lets one take the lock, and the others wait for it, one after the other.
func (l *line) form() {
	t := l.v.t
	t.Helper()
	var err error
	if l.holder, err = l.client[0].Lock(t.Context(), lineName); err != nil {
		t.Fatal(err)
	}
	for i, c := range l.client[1:] {
		go func() {
			got, err := c.Lock(t.Context(), lineName)
			l.turns <- turn{i, got, err}
		}()
		for waiting := 0; waiting <= i; {
			info, err := l.admin.Get(t.Context(), lineName)
			if err != nil {
				t.Fatal(err)
			}
			waiting = info.WaiterCount
		}
	}
}

// release lets the lock go. On a busy machine the answer may come too late; the server
// has been asked all the same.
func (l *line) release() {
	l.v.t.Helper()
	if err := l.holder.Release(l.v.t.Context()); err != nil && !errors.Is(err, ldlm.ErrUnknownOutcome) {
		l.v.t.Fatalf("release: %v", err)
	}
}

// move lets everybody have the lock in turn.
func (l *line) move() {
	t := l.v.t
	t.Helper()
	if err := l.holder.Err(); err != nil {
		t.Fatalf("who held the lock has lost it: %v", err)
	}
	for i := range l.client[1:] {
		before := l.holder.Token()
		l.release()
		next := <-l.turns
		if next.err != nil {
			t.Fatalf("place %d: %v", next.place, next.err)
		}
		if next.place != i || next.lock.Token() <= before {
			t.Errorf("place %d has the lock with token %d in turn %d, after token %d", next.place, next.lock.Token(), i, before)
		}
		l.holder = next.lock
	}
	l.release()
}
