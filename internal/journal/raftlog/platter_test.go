package raftlog

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// platter is a disk with a cache in front of it: when the power fails, what was written to
// the log and not synced is gone. Its fsyncs take as long as it is told.
type platter struct {
	mu     sync.Mutex
	synced map[string][]byte // the segment files as they are without the cache
	rand   *rand.Rand
	most   time.Duration // an fsync takes anything up to this, and never no time
	gate   chan struct{} // not nil: an fsync waits until it is closed
	off    chan struct{} // closed when the power is off
}

func newPlatter(seed uint64) *platter {
	return &platter{
		synced: map[string][]byte{}, rand: rand.New(rand.NewPCG(seed, 0)), most: 10 * time.Millisecond, off: make(chan struct{}),
	}
}

// fault is for Config.
func (p *platter) fault(op, path string) error {
	switch {
	case !strings.HasSuffix(path, ".wal"):
	case op == opWrite:
		return p.keep(path, false)
	case op == opSync:
		p.pause()
		return p.keep(path, true)
	}
	select {
	case <-p.off:
		return errCrash
	default:
		return nil
	}
}

// pause takes the time of an fsync.
func (p *platter) pause() {
	p.mu.Lock()
	gate, took := p.gate, time.Duration(p.rand.Int64N(int64(p.most)))
	p.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-p.off:
		}
	}
	select {
	case <-time.After(took + time.Millisecond):
	case <-p.off:
	}
}

// keep notes what a file has without the cache. One that is written to for the first time
// was synced when it was made.
func (p *platter) keep(path string, anew bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.off:
		return errCrash
	default:
	}
	if _, known := p.synced[path]; known && !anew {
		return nil
	}
	content, err := os.ReadFile(path)
	p.synced[path] = content
	return err
}

// slow says how long an fsync takes at most.
func (p *platter) slow(most time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.most = most
}

// shut lets fsyncs wait until the gate that it returns is closed.
func (p *platter) shut() chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gate = make(chan struct{})
	return p.gate
}

// cut ends the power of a journal's machine.
func (p *platter) cut(t *testing.T, j *Journal) {
	t.Helper()
	p.mu.Lock()
	close(p.off)
	p.mu.Unlock()
	j.crash()
	for path, content := range p.synced {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
