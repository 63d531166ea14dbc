package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// kind is the way in which a process of clients speaks.
type kind string

const (
	native kind = "native"
	first  kind = "v1"
	rests  kind = "rest"
)

// orders are what a process of clients is told when it is started.
type orders struct {
	Kind    kind   `json:"kind"`
	Process int    `json:"process"`
	Workers int    `json:"workers"`
	Seed    uint64 `json:"seed"`
	History string `json:"history"`
	Store   string `json:"store"`
	// Natives and Rests are the addresses of the members.
	Natives []string `json:"natives"`
	Rests   []string `json:"rests"`
}

// worker does one thing after the other, as chance will.
type worker struct {
	*orders
	*recorder
	number int
	chance *rand.Rand
}

// serveClients is the life of a process of clients, until SIGTERM.
func serveClients(text string) error {
	var o orders
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return fmt.Errorf("orders: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	r, err := newRecorder(o.History, o.Process)
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	failures := make(chan error, o.Workers)
	for i := range o.Workers {
		w := &worker{orders: &o, recorder: r, number: i, chance: rand.New(rand.NewPCG(o.Seed, uint64(i)))}
		all.Go(func() {
			if err := w.run(ctx); err != nil {
				failures <- fmt.Errorf("worker %d: %w", i, err)
			}
		})
	}
	all.Wait()
	close(failures)
	return <-failures
}

// run works in the way of the worker's kind.
func (w *worker) run(ctx context.Context) error {
	switch w.Kind {
	case native:
		return w.runNative(ctx)
	case first:
		return w.runFirst(ctx)
	case rests:
		return w.runREST(ctx)
	default:
		return fmt.Errorf("no kind of clients %q", w.Kind)
	}
}

// between is a random duration.
func (w *worker) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.chance.Int64N(int64(most-least)))
}

// of reports what happens with a chance of so many in a hundred.
func (w *worker) of(percent int) bool { return w.chance.IntN(100) < percent }

// era names locks for a time, so that the history of each stays short.
func era(long time.Duration) int64 { return monotonic() / int64(long) }

const eraLength = 10 * time.Second

// anyLock is a lock that workers of all kinds use.
func (w *worker) anyLock() wish {
	n := w.chance.IntN(8)
	if n < 3 {
		return wish{lock: fmt.Sprintf("permits/%d/%d", era(eraLength), n%2), size: 3}
	}
	return wish{lock: fmt.Sprintf("mutex/%d/%d", era(eraLength), n), size: 1}
}

// pause waits a moment before the next thing to do.
func (w *worker) pause(ctx context.Context) error {
	return rest(ctx, w.between(5*time.Millisecond, 60*time.Millisecond))
}

// hold is a hold that a worker is in, whatever protocol it speaks.
type hold interface {
	// sure returns the last moment at which the hold was certainly there; false
	// means that it is no more, as far as the holder knows.
	sure() (at int64, ok bool)
	// release gives it back and reports whether that is confirmed.
	release() bool
}

// use holds for a while, looking again and again, and gives back.
func (w *worker) use(ctx context.Context, id uint64, h hold, long, each time.Duration) {
	end := time.Now().Add(long)
	for time.Now().Before(end) && ctx.Err() == nil {
		_ = rest(ctx, min(each, time.Until(end))) // the end of the run ends the hold early
		at, ok := h.sure()
		if !ok {
			return
		}
		w.sure(id, at)
	}
	asked := monotonic()
	if h.release() {
		w.released(id, asked)
	}
}

// howLong is how long a hold lasts: mostly short, some longer than a fault.
func (w *worker) howLong() time.Duration {
	switch {
	case w.of(2):
		return w.between(time.Second, 8*time.Second)
	case w.of(20):
		return w.between(20*time.Millisecond, 200*time.Millisecond)
	default:
		return w.between(time.Millisecond, 20*time.Millisecond)
	}
}

// keeper is a worker's line to the store.
type keeper struct {
	conn net.Conn
	in   *json.Decoder
	out  *json.Encoder
}

func (w *worker) openStore(ctx context.Context) (*keeper, error) {
	c, err := new(net.Dialer).DialContext(ctx, "unix", w.Store)
	if err != nil {
		return nil, err
	}
	return &keeper{c, json.NewDecoder(c), json.NewEncoder(c)}, nil
}

func (k *keeper) ask(q *question) (r reply, err error) {
	if err = k.out.Encode(q); err == nil {
		err = k.in.Decode(&r)
	}
	return r, err
}

// update adds an element to the sets of a name, under a lock.
func (k *keeper) update(process int, name string, token, element uint64) error {
	before, err := k.ask(&question{Process: process, Name: name, Token: token})
	if err != nil {
		return err
	}
	_, err = k.ask(&question{
		Process: process, Name: name, Token: token, Fenced: append(before.Fenced, element), Bare: append(before.Bare, element),
	})
	return err
}

func (k *keeper) close() { k.conn.Close() }

// isAsked reports whether the program was started as a process of clients.
func isAsked() bool { return len(os.Args) == 3 && os.Args[1] == clientsRole }

const clientsRole = "clients"
