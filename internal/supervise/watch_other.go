//go:build !linux

package supervise

import (
	"os"
	"time"
)

// lookEvery is how often a process is looked for.
const lookEvery = 200 * time.Millisecond

// A Watched is a process of somebody else whose end is waited for.
type Watched struct {
	ended, stop, over chan struct{}
}

// Watch waits for the end of a process. [os.ErrProcessDone] if there is none of
// that number.
func Watch(pid int) (*Watched, error) {
	if !lives(pid) {
		return nil, os.ErrProcessDone
	}
	p := &Watched{ended: make(chan struct{}), stop: make(chan struct{}), over: make(chan struct{})}
	go p.look(pid)
	return p, nil
}

func (p *Watched) look(pid int) {
	defer close(p.over)
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for lives(pid) {
		select {
		case <-t.C:
		case <-p.stop:
			return
		}
	}
	close(p.ended)
}

// Ended is closed when the process has ended.
func (p *Watched) Ended() <-chan struct{} { return p.ended }

// Close ends the wait.
func (p *Watched) Close() {
	close(p.stop)
	<-p.over
}
