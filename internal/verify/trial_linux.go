package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/verify/history"
)

// trial is a run: servers, clients, and what is done to them.
type trial struct {
	settings
	*cluster
	fabric  *fabric
	store   *store
	clients []*clients
	chance  *rand.Rand
	own     *ldlm.Client // the operator's, which takes part in the history
	notes   *recorder    // of what the operator does
	began   time.Time

	mu    sync.Mutex
	wrong []string // what is wrong besides the history
	lives int      // of processes of clients
	calm  []span
}

// span is a time, by the clock of histories.
type span struct{ from, to int64 }

// clients is a process of clients.
type clients struct {
	*machine
	kind    kind
	workers int
	number  int
	process *exec.Cmd
	ended   chan struct{}
	wanted  bool
}

// blame notes something that is wrong besides the history.
func (t *trial) blame(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wrong = append(t.wrong, text)
	t.say("WRONG: %s", text)
}

// say prints a line with the time since the run began.
func (t *trial) say(format string, args ...any) {
	fmt.Fprintf(t.out, "%7.1f  %s\n", time.Since(t.began).Seconds(), fmt.Sprintf(format, args...))
}

// newTrial makes machines, disks and certificates, and starts nothing.
func newTrial(ctx context.Context, s settings) (*trial, error) {
	t := &trial{settings: s, chance: rand.New(rand.NewPCG(s.seed, 1)), fabric: newFabric(s.seed), began: time.Now()}
	t.cluster = &cluster{binary: s.program, home: s.dir, chance: t.chance, surprise: t.blame}
	if err := inMemory(filepath.Join(s.dir, "disks")); err != nil {
		return t, err
	}
	for i, name := range []string{"a", "b", "c"} {
		m, err := t.machine(name, i+1)
		if err != nil {
			return t, err
		}
		seat := &seat{machine: m}
		t.seats = append(t.seats, seat)
		seat.disk, err = newDisk(ctx, filepath.Join(s.dir, "disks", name), filepath.Join(s.dir, "disk-"+name))
		if err != nil {
			return t, err
		}
	}
	const clientsFrom = 11
	for i, c := range []clients{{kind: native, workers: 12}, {kind: native, workers: 12}, {kind: first, workers: 8}, {kind: rests, workers: 6}} {
		m, err := t.machine(fmt.Sprintf("%s-%d", c.kind, i+1), clientsFrom+i)
		if err != nil {
			return t, err
		}
		t.clients = append(t.clients, &clients{machine: m, kind: c.kind, workers: c.workers})
	}
	var err error
	const operator = 99
	if t.operator, err = t.machine("operator", operator); err != nil {
		return t, err
	}
	if t.store, err = newStore(ctx, filepath.Join(s.dir, "store.sock")); err != nil {
		return t, err
	}
	if t.notes, err = newRecorder(filepath.Join(s.dir, "history-operator.jsonl"), 0); err != nil {
		return t, err
	}
	return t, t.found(ctx)
}

// machine makes one of the network 10.77.0.0/24, which is nowhere but here.
func (t *trial) machine(name string, number int) (*machine, error) {
	m, err := newMachine(name, netip.AddrFrom4([4]byte{10, 77, 0, byte(number)}))
	if err == nil {
		t.fabric.add(m)
	}
	return m, err
}

// addresses are those of a port of all members.
func (t *trial) addresses(port int) (all []string) {
	for _, s := range t.seats {
		all = append(all, s.at(port))
	}
	return all
}

// begin starts servers and clients.
func (t *trial) begin(ctx context.Context) error {
	t.fabric.run()
	for _, s := range t.seats {
		if err := t.start(ctx, s); err != nil {
			return err
		}
	}
	if err := t.await(ctx); err != nil {
		return err
	}
	var err error
	t.own, err = ldlm.Dial(strings.Join(t.addresses(nativePort), ","), ldlm.WithDialer(t.operator.dial))
	if err != nil {
		return err
	}
	for _, c := range t.clients {
		if err := t.startClients(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// startClients starts a process of clients, which has a history and a number of its own.
func (t *trial) startClients(ctx context.Context, c *clients) error {
	t.lives++
	c.number = t.lives
	o, err := json.Marshal(orders{
		Kind: c.kind, Process: c.number, Workers: c.workers, Seed: t.seed + uint64(c.number),
		History: filepath.Join(t.dir, fmt.Sprintf("history-%d-%s.jsonl", c.number, c.kind)), Store: filepath.Join(t.dir, "store.sock"),
		Natives: t.addresses(nativePort), Rests: t.addresses(restPort),
	})
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(t.dir, fmt.Sprintf("clients-%d-%s.log", c.number, c.kind)))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the process has it
	c.process = exec.CommandContext(context.WithoutCancel(ctx), self, clientsRole, string(o))
	c.process.Stdout, c.process.Stderr = log, log
	c.ended, c.wanted = make(chan struct{}), false
	if err := c.machine.start(c.process); err != nil {
		return err
	}
	go t.watchClients(c, c.process, c.ended, c.number)
	return nil
}

// watchClients waits for the end of a process of clients.
func (t *trial) watchClients(c *clients, process *exec.Cmd, ended chan struct{}, number int) {
	err := process.Wait()
	t.mu.Lock()
	wanted := c.wanted
	t.mu.Unlock()
	close(ended)
	if !wanted {
		t.blame(fmt.Sprintf("clients %d ended by themselves: %v, see clients-%d-%s.log", number, err, number, c.kind))
	}
}

// killClients ends a process of clients as kill -9 does.
func (t *trial) killClients(c *clients) {
	t.mu.Lock()
	c.wanted = true
	t.mu.Unlock()
	_ = c.process.Process.Kill() // it may have ended
	<-c.ended
}

// freeze stops a process of clients, and returns when all of it stands still: the
// signal takes effect when one of the threads runs next, and others may run before.
func (c *clients) freeze() {
	_ = c.process.Process.Signal(syscall.SIGSTOP) // it may have ended
	tasks := fmt.Sprintf("/proc/%d/task/*/stat", c.process.Process.Pid)
	for {
		files, _ := filepath.Glob(tasks) // the pattern is well-formed
		if !slices.ContainsFunc(files, runs) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// runs reports whether the thread of a stat file does not stand still.
func runs(file string) bool {
	text, err := os.ReadFile(file)
	if err != nil {
		return false // it has ended
	}
	_, state, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(state, "T")
}

// stopClients lets all clients come to an end in order.
func (t *trial) stopClients() {
	for _, c := range t.clients {
		t.mu.Lock()
		c.wanted = true
		t.mu.Unlock()
		_ = c.process.Process.Signal(syscall.SIGTERM) // it may have ended
	}
	late := time.After(patience)
	for _, c := range t.clients {
		select {
		case <-c.ended:
			if s := c.process.ProcessState; !s.Success() {
				t.blame(fmt.Sprintf("clients %d failed: %v, see clients-%d-%s.log", c.number, s, c.number, c.kind))
			}
		case <-late:
			t.blame(fmt.Sprintf("clients %d did not end within %v", c.number, patience))
			t.killClients(c)
		}
	}
}

// leftovers waits until nobody holds anything or waits: the holds of the dead come back.
func (t *trial) leftovers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		left, err := t.taken(ctx)
		if err == nil && len(left) == 0 {
			return nil
		}
		if rest(ctx, time.Second) != nil {
			return fmt.Errorf("after %v without clients still taken: %v (%w)", patience, left, err)
		}
	}
}

// taken are the locks that somebody holds or waits for.
func (t *trial) taken(ctx context.Context) (left []string, err error) {
	for info, err := range t.own.Admin().List(ctx) {
		if err != nil {
			return nil, err
		}
		if info.HolderCount > 0 || info.WaiterCount > 0 {
			left = append(left, fmt.Sprintf("%s: %d hold, %d wait", info.Name, info.HolderCount, info.WaiterCount))
		}
	}
	return left, nil
}

// quiet lets the run be without faults for so long, and notes when that was.
func (t *trial) quiet(ctx context.Context, d time.Duration) error {
	from := monotonic()
	err := rest(ctx, d)
	t.calm = append(t.calm, span{from, monotonic()})
	return err
}

// end ends everything that runs. It may be called at any time.
func (t *trial) end() error {
	t.fabric.heal()
	var errs []error
	for _, c := range t.clients {
		if c.process != nil {
			t.killClients(c)
		}
	}
	if t.own != nil {
		errs = append(errs, t.own.Close())
	}
	for _, s := range t.seats {
		if s.disk != nil {
			s.disk.thaw()
		}
		if s.process != nil {
			s.kill()
		}
		if s.disk != nil {
			errs = append(errs, s.disk.unmount(), os.Remove(s.disk.image))
		}
	}
	if t.store != nil {
		t.store.close()
	}
	t.fabric.close()
	errs = append(errs, unix.Unmount(filepath.Join(t.dir, "disks"), 0))
	return errors.Join(errs...)
}

// histories reads what all clients have written.
func (t *trial) histories() ([]history.Record, error) {
	names, err := filepath.Glob(filepath.Join(t.dir, "history-*.jsonl"))
	if err != nil {
		return nil, err
	}
	var all []history.Record
	for _, name := range names {
		records, err := history.ReadFile(name)
		if err != nil {
			return nil, err
		}
		all = append(all, records...)
	}
	return all, nil
}
