package sessionapi

import "sync"

// late is the goroutine that writes what comes of itself. It lives while there is
// something to write: there are many connections, and most of them are quiet.
type late struct {
	attend func()

	mu sync.Mutex // guards what follows; held for a few assignments
	// ready: it may run. Before that it is only noted that it is to.
	ready, over bool
	// instead, if set, is called to have attend called, and there is no goroutine.
	instead func()
	// running says that the goroutine lives, again that it must not end yet.
	running, again bool
	work           sync.WaitGroup
}

// rouse sees to it that attend is called after now. It does not wait.
func (l *late) rouse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.over:
	case l.instead != nil:
		l.instead()
	case l.running, !l.ready:
		l.again = true
	default:
		l.running = true
		l.work.Go(l.run)
	}
}

func (l *late) run() {
	for {
		l.attend()
		l.mu.Lock()
		if l.over || !l.again {
			l.running = false
			l.mu.Unlock()
			return
		}
		l.again = false
		l.mu.Unlock()
	}
}

// start lets it run.
func (l *late) start() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ready = true
	if l.again {
		l.again, l.running = false, true
		l.work.Go(l.run)
	}
}

// startElsewhere is start where somebody else calls attend, soon after f is called.
// It does not wait, with mutexes held.
func (l *late) startElsewhere(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ready, l.instead = true, f
	if l.again {
		l.again = false
		f()
	}
}

// end keeps it from being called again; wait waits for the call under way.
func (l *late) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
}

func (l *late) wait() { l.work.Wait() }
