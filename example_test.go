package ldlm_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/ldlm-io/ldlm"
)

// connect starts a server in memory and returns a client of it. Programs call
// ldlm.Dial with the address of a server; tests use package ldlmtest.
func connect(opts ...ldlm.DialOption) (c *ldlm.Client, end func()) {
	r, stop, err := startReal()
	if err != nil {
		log.Fatal(err)
	}
	c = r.mustDial(opts...)
	return c, func() {
		if err := errors.Join(c.Close(), stop()); err != nil {
			log.Fatal(err)
		}
	}
}

func (r *realServer) mustDial(opts ...ldlm.DialOption) *ldlm.Client {
	c, err := ldlm.Dial("localhost", append([]ldlm.DialOption{ldlm.WithDialer(r.dial)}, opts...)...)
	if err != nil {
		log.Fatal(err)
	}
	return c
}

func Example() {
	ctx := context.Background()
	c, end := connect() // ldlm.Dial("ldlm-1:3144,ldlm-2:3144")
	defer end()
	err := c.Do(ctx, "invoice/77", func(ctx context.Context) error {
		fmt.Println("processing under a token:", ldlm.TokenFrom(ctx) > 0)
		return nil
	}, ldlm.WaitAtMost(10*time.Second), ldlm.Reason("monthly run"))
	fmt.Println(err)
	// Output:
	// processing under a token: true
	// <nil>
}

func ExampleClient() {
	ctx := context.Background()
	c, end := connect()
	defer end()
	l, err := c.Lock(ctx, "cron/daily")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("held:", l.Name())
	fmt.Println("released:", l.Release(ctx))
	// Output:
	// held: cron/daily
	// released: <nil>
}

func ExampleClient_LockAll() {
	ctx := context.Background()
	c, end := connect()
	defer end()
	l, err := c.LockAll(ctx, []string{"account/1", "account/2"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(l.Names())
	_, err = c.TryLock(ctx, "account/2")
	fmt.Println(errors.Is(err, ldlm.ErrHeld))
	fmt.Println(l.Release(ctx))
	// Output:
	// [account/1 account/2]
	// true
	// <nil>
}

func ExampleClient_RLock() {
	ctx := context.Background()
	c, end := connect()
	defer end()
	reader, err := c.RLock(ctx, "catalog")
	if err != nil {
		fmt.Println(err)
		return
	}
	another, err := c.RLock(ctx, "catalog", ldlm.WaitAtMost(time.Second))
	fmt.Println("shared:", err)
	_, err = c.TryLock(ctx, "catalog")
	fmt.Println("alone:", errors.Is(err, ldlm.ErrHeld))
	fmt.Println(reader.Release(ctx), another.Release(ctx))
	// Output:
	// shared: <nil>
	// alone: true
	// <nil> <nil>
}

func ExampleClient_Locker() {
	c, end := connect()
	defer end()
	mu := c.Locker(context.Background(), "x")
	mu.Lock()
	fmt.Println("held")
	mu.Unlock()
	// Output: held
}

func ExampleClient_Watch() {
	ctx := context.Background()
	c, end := connect()
	defer end()
	go func() {
		for { // until the watch stands and has seen one
			if l, err := c.Lock(ctx, "invoice/77"); err != nil || l.Release(ctx) != nil {
				return
			}
		}
	}()
	for event, err := range c.Watch(ctx, "invoice/*") {
		if err != nil {
			fmt.Println(err) // after ldlm.ErrReset: look how things stand, and watch anew
			return
		}
		if event.Type == ldlm.EventAcquired {
			fmt.Println(event.Name, event.Type)
			break
		}
	}
	// Output: invoice/77 acquired
}

func ExampleLock() {
	ctx := context.Background()
	c, end := connect()
	defer end()
	l, err := c.Lock(ctx, "report", ldlm.Lease(30*time.Second), ldlm.Value([]byte("page 1")))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Release(ctx) // works although ctx is cancelled by then
	select {
	case <-l.Done():
		fmt.Println("lost:", l.Err())
	default:
		fmt.Println("good for", time.Until(l.Deadline()).Round(time.Second))
		fmt.Println("set value:", l.SetValue(ctx, []byte("page 2")))
	}
	// Output:
	// good for 9s
	// set value: <nil>
}

func ExampleLock_Context() {
	ctx := context.Background()
	c, end := connect()
	defer end()
	l, err := c.Lock(ctx, "x")
	if err != nil {
		fmt.Println(err)
		return
	}
	work := l.Context(ctx)
	fmt.Println(ldlm.TokenFrom(work) == l.Token(), work.Err())
	if err := l.Release(ctx); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(context.Cause(work))
	// Output:
	// true <nil>
	// lock was released
}

func ExampleElection() {
	ctx := context.Background()
	c, end := connect()
	defer end()
	e := c.Election("scheduler", ldlm.Value([]byte("10.0.0.7:8080")))
	for term := range e.Lead(ctx) {
		// Work with term.Context() until it ends; after a loss the loop goes on.
		for leader, err := range e.Observe(ctx) {
			fmt.Printf("leader: %s, %v\n", leader.Value, err)
			fmt.Println("that is me:", leader.Token == term.Token())
			break
		}
		break // gives the lead up
	}
	fmt.Println(e.Err())
	// Output:
	// leader: 10.0.0.7:8080, <nil>
	// that is me: true
	// <nil>
}

func ExampleTerm() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c, end := connect()
	defer end()
	for term := range c.Election("scheduler").Lead(ctx) {
		fmt.Println("leading under a token:", term.Token() > 0)
		cancel() // the program is asked to end
		<-term.Context().Done()
		fmt.Println("stopped:", context.Cause(term.Context()))
	}
	// Output:
	// leading under a token: true
	// stopped: context canceled
}

func ExampleAdmin() {
	ctx := context.Background()
	c, end := connect()
	defer end()
	l, err := c.Lock(ctx, "stuck")
	if err != nil {
		fmt.Println(err)
		return
	}
	for info, err := range c.Admin().List(ctx, ldlm.WithState(ldlm.StateHeld)) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(info.Name, "has", info.HolderCount, "holder")
		forced, err := c.Admin().ForceRelease(ctx, info.Name, info.Holders[0].Token, "nobody is at home")
		fmt.Println("ended:", forced.Ended, err)
	}
	<-l.Done()
	fmt.Println(errors.Is(l.Err(), ldlm.ErrLost))
	// Output:
	// stuck has 1 holder
	// ended: true <nil>
	// true
}

func ExampleHeldError() {
	ctx := context.Background()
	r, stop, err := startReal()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()
	holder := r.mustDial(ldlm.WithClientInfo(ldlm.ClientInfo{Host: "web-3", PID: 4711, Program: "cron"}))
	defer holder.Close()
	if _, err := holder.Lock(ctx, "cron/daily", ldlm.Reason("monthly run")); err != nil {
		fmt.Println(err)
		return
	}
	c := r.mustDial()
	defer c.Close()
	_, err = c.TryLock(ctx, "cron/daily")
	if held, ok := errors.AsType[*ldlm.HeldError](err); ok {
		fmt.Println("held by", held.Holder, "for less than a minute:", held.Age < time.Minute)
	}
	// Output: held by web-3:4711 (cron) "monthly run" for less than a minute: true
}

func ExampleLostError() {
	ctx := context.Background()
	c, end := connect()
	defer end()
	err := c.Do(ctx, "x", func(work context.Context) error {
		if _, err := c.Admin().ForceRelease(ctx, "x", ldlm.TokenFrom(work), "to show it"); err != nil {
			return err
		}
		<-work.Done()
		return context.Cause(work)
	})
	if lost, ok := errors.AsType[*ldlm.LostError](err); ok {
		fmt.Println(lost.Name, "was lost:", lost.Reason)
	}
	// Output: x was lost: ended by an administrator
}

func ExampleError() {
	c, end := connect()
	defer end()
	_, err := c.Lock(context.Background(), "")
	if failed, ok := errors.AsType[*ldlm.Error](err); ok {
		fmt.Println(errors.Is(err, ldlm.ErrInvalid), failed.Field, failed.Limit)
	}
	// Output: true name 65536
}

func ExampleSafeToRetry() {
	c, end := connect()
	defer end()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := c.Lock(ctx, "x")
	fmt.Println(ldlm.SafeToRetry(err), errors.Is(err, context.Canceled))
	// Output: true true
}

func ExampleHooks() {
	ctx := context.Background()
	lost := make(chan struct{})
	c, end := connect(ldlm.WithHooks(ldlm.Hooks{
		OnAcquire: func(l *ldlm.Lock) { fmt.Println("acquired", l.Name()) },
		OnWait:    func(w ldlm.Wait) { fmt.Println("waiting for", w.Name, "behind", w.Ahead, "and myself:", w.Self) },
		OnRelease: func(l *ldlm.Lock) { fmt.Println("released", l.Name()) },
		OnLost: func(l *ldlm.Lock, err *ldlm.LostError) {
			fmt.Println("lost", l.Name())
			close(lost)
		},
	}))
	defer end()
	l, err := c.Lock(ctx, "x")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = c.Lock(ctx, "x", ldlm.WaitAtMost(10*time.Millisecond))
	fmt.Println(errors.Is(err, ldlm.ErrWaitTimeout))
	if err := l.Release(ctx); err != nil {
		fmt.Println(err)
		return
	}
	if _, err = c.Lock(ctx, "y", ldlm.MaxHold(time.Millisecond)); err != nil {
		fmt.Println(err)
		return
	}
	<-lost
	// Output:
	// acquired x
	// waiting for x behind 0 and myself: true
	// true
	// released x
	// acquired y
	// lost y
}

// once is a program that takes a lock from whatever has some.
func once(ctx context.Context, locks ldlm.Interface) error {
	return locks.Do(ctx, "once", func(context.Context) error {
		fmt.Println("running")
		return nil
	})
}

// unguarded gives everybody every lock.
type unguarded struct{}

func (unguarded) Do(ctx context.Context, _ string, f func(context.Context) error, _ ...ldlm.LockOption) error {
	return f(ctx)
}

func (unguarded) Lock(context.Context, string, ...ldlm.LockOption) (*ldlm.Lock, error) {
	return &ldlm.Lock{}, nil
}

func (unguarded) TryLock(context.Context, string, ...ldlm.TryOption) (*ldlm.Lock, error) {
	return &ldlm.Lock{}, nil
}

func ExampleInterface() {
	ctx := context.Background()
	c, end := connect()
	defer end()
	fmt.Println(once(ctx, c))
	fmt.Println(once(ctx, unguarded{}))
	// Output:
	// running
	// <nil>
	// running
	// <nil>
}

func ExampleLockInfo() {
	ctx := context.Background()
	c, end := connect()
	defer end()
	l, err := c.Lock(ctx, "es-slots", ldlm.Size(10), ldlm.Permits(2), ldlm.Labels(map[string]string{"team": "search"}))
	if err != nil {
		fmt.Println(err)
		return
	}
	info, err := c.Admin().Get(ctx, "es-slots")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d of %d permits are held\n", info.Held, info.Size)
	h := info.Holders[0]
	fmt.Println(h.Token == l.Token(), h.Permits, h.Labels["team"], strings.HasPrefix(l.Key(), h.KeyPrefix))
	// Output:
	// 2 of 10 permits are held
	// true 2 search true
}

func ExampleSessionInfo() {
	ctx := context.Background()
	c, end := connect(ldlm.WithTTL(20*time.Second), ldlm.WithSessionValue([]byte("10.0.0.7:8080")),
		ldlm.WithClientInfo(ldlm.ClientInfo{Host: "web-3", Program: "cron"}))
	defer end()
	if _, err := c.Lock(ctx, "x"); err != nil {
		fmt.Println(err)
		return
	}
	for s, err := range c.Admin().Sessions(ctx) {
		fmt.Println(s.Client, s.TTL, s.Holds, string(s.Value), err)
	}
	// Output: web-3 (cron) 20s 1 10.0.0.7:8080 <nil>
}

func ExampleForced() {
	ctx := context.Background()
	c, end := connect()
	defer end()
	l, err := c.Lock(ctx, "x")
	if err != nil {
		fmt.Println(err)
		return
	}
	forced, err := c.Admin().ForceRelease(ctx, "x", l.Token(), "make room", ldlm.Gently())
	fmt.Println(forced.Ended, forced.MayBelieve > 0, err)
	<-l.Done() // the holder is told, and lets go
	fmt.Println(l.Release(ctx))
	// Output:
	// false true <nil>
	// <nil>
}

func ExampleWaitAtMost() {
	ctx := context.Background()
	c, end := connect()
	defer end()
	l, err := c.Lock(ctx, "x")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Release(ctx)
	_, err = c.Lock(ctx, "x", ldlm.WaitAtMost(time.Millisecond))
	fmt.Println(errors.Is(err, ldlm.ErrWaitTimeout))
	// Output: true
}
