package ldlm_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm"
)

// believers knows who believes that it holds what, and finds out if there are
// ever more than may be.
type believers struct {
	t    *testing.T
	size map[string]int

	mu     sync.Mutex
	locks  map[string][]*ldlm.Lock
	tokens map[string]uint64
	grants int
	losses int
}

// enter notes a hold that was just acquired.
func (b *believers) enter(l *ldlm.Lock) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.grants++
	name := l.Name()
	if l.Err() != nil {
		return
	}
	if l.Token() <= b.tokens[name] && b.size[name] == 1 {
		b.t.Errorf("%s: token %d after %d", name, l.Token(), b.tokens[name])
	}
	b.tokens[name] = max(b.tokens[name], l.Token())
	believing := []uint64{l.Token()}
	for _, other := range b.locks[name] {
		if other.Err() == nil {
			believing = append(believing, other.Token())
		}
	}
	if len(believing) > b.size[name] {
		b.t.Errorf("%s has size %d and believers %v", name, b.size[name], believing)
	}
	b.locks[name] = append(b.locks[name], l)
}

// leave notes that a hold is about to be released.
func (b *believers) leave(l *ldlm.Lock) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l.Err() != nil {
		b.losses++
	}
	b.locks[l.Name()] = slices.DeleteFunc(b.locks[l.Name()], func(other *ldlm.Lock) bool { return other == l })
}

// Clients take and lose locks while connections break, the network is down at
// times for longer than a session lives, and waits are cancelled: there are
// never more believers than the lock has permits, and nothing is left behind.
func TestChaos(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { chaos(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func chaos(t *testing.T, random *rand.Rand) {
	r := newRealServer(t)
	b := &believers{
		t: t, size: map[string]int{"a": 1, "b": 2, "c": 3},
		locks: map[string][]*ldlm.Lock{}, tokens: map[string]uint64{},
	}
	var workers sync.WaitGroup
	for range 8 {
		c, err := ldlm.Dial("real", ldlm.WithDialer(r.dial), ldlm.WithTTL(2*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		var users sync.WaitGroup
		for range 4 {
			mine := rand.New(rand.NewPCG(random.Uint64(), 0))
			users.Go(func() { use(t, c, b, mine) })
		}
		workers.Go(func() {
			users.Wait()
			_ = c.Close() // it may be that there is no connection
		})
	}
	done := make(chan struct{})
	go func() {
		workers.Wait()
		close(done)
	}()
	disturb(r, random, done)
	r.cut(false)
	<-time.After(time.Minute) // whatever was left open has expired
	for name := range b.size {
		if holds, waits := r.count(t, name); holds != 0 || waits != 0 {
			t.Errorf("%s: %d holds and %d waiting requests are left behind", name, holds, waits)
		}
	}
	if b.grants < 200 || b.losses == 0 {
		t.Errorf("%d grants and %d losses: that proves little", b.grants, b.losses)
	}
}

// disturb breaks connections, and takes the network down at times.
func disturb(r *realServer, random *rand.Rand, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-time.After(time.Duration(random.Int64N(int64(2 * time.Second)))):
		}
		r.cut(true)
		down := time.Duration(0)
		if random.IntN(2) == 0 {
			down = time.Duration(random.Int64N(int64(5 * time.Second)))
		}
		<-time.After(down)
		r.cut(false)
	}
}

// use takes locks, holds them for a while and releases them.
func use(t *testing.T, c *ldlm.Client, b *believers, random *rand.Rand) {
	for range 60 {
		name := []string{"a", "b", "c"}[random.IntN(3)]
		l, err := ask(c, name, b.size[name], random)
		var held *ldlm.HeldError
		switch {
		case errors.As(err, &held), errors.Is(err, context.DeadlineExceeded), errors.Is(err, ldlm.ErrUnavailable):
			<-time.After(time.Duration(random.Int64N(int64(100 * time.Millisecond))))
			continue
		case err != nil:
			t.Errorf("%s: %v", name, err)
			return
		}
		b.enter(l)
		hold := time.Duration(random.Int64N(int64(300 * time.Millisecond)))
		if random.IntN(10) == 0 {
			hold *= 20
		}
		<-time.After(hold)
		b.leave(l)
		if err := l.Release(context.Background()); err != nil && !errors.Is(err, ldlm.ErrLost) && !errors.Is(err, ldlm.ErrUnknownOutcome) {
			t.Errorf("release of %s: %v", name, err)
		}
	}
}

// ask takes a lock in one of several ways.
func ask(c *ldlm.Client, name string, size int, random *rand.Rand) (*ldlm.Lock, error) {
	ctx := context.Background()
	options := []ldlm.LockOption{ldlm.Size(size)}
	if random.IntN(3) == 0 {
		options = append(options, ldlm.Lease(time.Duration(200+random.Int64N(800))*time.Millisecond))
	}
	switch random.IntN(4) {
	case 0:
		return c.TryLock(ctx, name, ldlm.Size(size))
	case 1:
		return c.Lock(ctx, name, append(options, ldlm.WaitAtMost(time.Duration(random.Int64N(int64(time.Second)))))...)
	case 2:
		ctx, cancel := context.WithTimeout(ctx, time.Duration(random.Int64N(int64(time.Second))))
		defer cancel()
		return c.Lock(ctx, name, options...)
	default:
		return c.Lock(ctx, name, options...)
	}
}
