package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/ldlm-io/ldlm/internal/verify/history"
)

// recorder writes a history: each record is with the system before the next thing is
// done, so that it outlives the process.
type recorder struct {
	process int
	next    atomic.Uint64
	mu      sync.Mutex
	file    *os.File
}

// idBits is how many of an ID count requests; the others name the process.
const idBits = 40

// newRecorder begins the history of a process; of one that has been before, a new life.
func newRecorder(name string, process int) (*recorder, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &recorder{process: process, file: f}, nil
}

// note writes a record.
func (r *recorder) note(h history.Record) {
	line, err := json.Marshal(h)
	if err == nil {
		r.mu.Lock()
		_, err = r.file.Write(append(line, '\n'))
		r.mu.Unlock()
	}
	if err != nil {
		// A history with holes proves nothing: the process must not go on.
		panic(fmt.Sprintf("verify: history is not written: %v", err))
	}
}

// wish is what a worker asks for.
type wish struct {
	lock   string
	size   int
	shared bool
}

// begin notes that a lock is asked for, and returns the ID of the request.
func (r *recorder) begin(worker int, w wish) uint64 {
	id := uint64(r.process)<<idBits | r.next.Add(1)
	r.note(history.Record{
		Type: history.Begin, ID: id, Client: r.process*100 + worker, Lock: w.lock, Size: w.size, Shared: w.shared, At: monotonic(),
	})
	return id
}

// told notes an answer.
func (r *recorder) told(id uint64, what history.Type, token uint64) {
	r.note(history.Record{Type: what, ID: id, Token: token, At: monotonic()})
}

// sure notes that the holder was sure of its hold at a time.
func (r *recorder) sure(id uint64, at int64) {
	r.note(history.Record{Type: history.Sure, ID: id, Call: at})
}

// released notes that a release, asked for at a time, is confirmed now.
func (r *recorder) released(id uint64, asked int64) {
	r.note(history.Record{Type: history.End, ID: id, Call: asked, At: monotonic()})
}

// read notes who holds a lock.
func (r *recorder) read(worker int, name string, asked int64, tokens []uint64) {
	r.note(history.Record{
		Type: history.Read, Client: r.process*100 + worker, Lock: name, Call: asked, At: monotonic(), Tokens: tokens,
	})
}
