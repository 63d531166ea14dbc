package wire

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// exhaust takes all descriptors that there are. The function gives them back.
func exhaust(t *testing.T) (giveBack func()) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	next, err := unix.Dup(0)
	if err != nil {
		t.Fatal(err)
	}
	taken := []int{next}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(next) + 1, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	for fd, err := unix.Dup(0); err == nil; fd, err = unix.Dup(0) {
		taken = append(taken, fd)
	}
	return func() {
		for _, fd := range taken {
			_ = unix.Close(fd)
		}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
	}
}

// Without descriptors a connection goes on as ever, and later ones are adopted again.
func TestPollerWithoutDescriptors(t *testing.T) {
	for name, started := range map[string]bool{"before the first": false, "later": true} {
		t.Run(name, func(t *testing.T) {
			p := newPoller(t)
			if started {
				adopt(t, p, time.Minute, func(*handler, *Conn) {})
			}
			client, server := tcpPair(t)
			c := NewConn(server, time.Minute)
			giveBack := exhaust(t)
			adopted := p.Adopt(c, newHandler())
			giveBack()
			if adopted {
				t.Fatal("adopted without a descriptor")
			}
			if err := c.WriteFrames([]byte("on")); err != nil {
				t.Error(err)
			}
			if _, err := io.ReadFull(client, make([]byte, 2)); err != nil {
				t.Error(err)
			}
			other, _, _ := adopt(t, p, time.Minute, func(h *handler, c *Conn) { h.echoes(c) })
			if err := talk(other, 1); err != nil {
				t.Error(err)
			}
		})
	}
}

// A poller whose own descriptors cannot be had begins when they can.
func TestPollerBeginsLater(t *testing.T) {
	p := newPoller(t)
	giveBack := exhaust(t)
	began := p.start()
	giveBack()
	if began {
		t.Fatal("it began without descriptors")
	}
	client, _, _ := adopt(t, p, time.Minute, func(h *handler, c *Conn) { h.echoes(c) })
	if err := talk(client, 1); err != nil {
		t.Error(err)
	}
}

// Last words that come when it is over do not reach whoever has the descriptor now.
func TestPollerFinishAfterTheEnd(t *testing.T) {
	p := newPoller(t)
	client, c, h := adopt(t, p, time.Minute, func(*handler, *Conn) {})
	_ = client.Close()
	<-h.over
	fd := c.polled.Load().fd
	near, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(near[1])
	if near[0] != fd { // somebody else may have been faster; then it is taken from them for this test only
		if err := moveTo(near[0], fd); err != nil {
			t.Skip("the descriptor is somebody else's:", err)
		}
	}
	defer unix.Close(fd)
	_ = c.Finish(time.Minute)
	if _, err := unix.SendmsgN(fd, []byte{1}, nil, nil, unix.MSG_NOSIGNAL); err != nil {
		t.Errorf("the new connection was finished: %v", err)
	}
}

// moveTo gives a descriptor a number that is not in use.
func moveTo(fd, number int) error {
	moved, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, number)
	if err != nil {
		return err
	}
	_ = unix.Close(fd)
	if moved != number {
		_ = unix.Close(moved)
		return unix.EBUSY
	}
	return nil
}

func TestPollerNotAfterLastWords(t *testing.T) {
	p := newPoller(t)
	client, server := tcpPair(t)
	c := NewConn(server, time.Minute)
	_ = c.Finish(time.Minute)
	if p.Adopt(c, newHandler()) {
		t.Fatal("adopted a connection whose last words were said: nothing ends it")
	}
	if _, err := io.ReadAll(client); err != nil {
		t.Error(err)
	}
}

// Who takes the last words slowly does not get more time for each piece.
func TestPollerLastWordsHaveAnEnd(t *testing.T) {
	p := newPoller(t)
	client, c, h := adopt(t, p, time.Minute, func(*handler, *Conn) {})
	const size = 100 << 20
	if err := c.WriteFrames(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	_ = c.Finish(time.Minute)
	c.turn.take()
	c.writeTimeout = time.Nanosecond // as good as none, if it began again
	c.turn.giveBack()
	if n, err := io.Copy(io.Discard, client); err != nil || n != size {
		t.Errorf("%d bytes, %v", n, err)
	}
	_ = client.Close()
	<-h.over
}

// Who is roused without end does not keep others from their turn.
func TestPollerTurns(t *testing.T) {
	p := newPoller(t)
	served := make(chan struct{})
	adopt(t, p, time.Minute, func(h *handler, c *Conn) {
		h.attend = func() {
			select {
			case <-served:
			default:
				c.Rouse()
			}
		}
	})
	client, _, _ := adopt(t, p, time.Minute, func(h *handler, c *Conn) { h.echoes(c) })
	err := talk(client, 1)
	close(served)
	if err != nil {
		t.Fatal(err)
	}
}

// What a handler leaves comes again, and nothing is read before.
func TestPollerLeavesTheRest(t *testing.T) {
	p := newPoller(t)
	client, _, _ := adopt(t, p, time.Minute, func(h *handler, c *Conn) {
		h.echoes(c)
		all := h.readable
		one := false
		h.readable = func() {
			if one = !one; !one {
				all()
			}
		}
		h.leaves = func() bool { return one }
	})
	if err := talk(client, 3); err != nil {
		t.Fatal(err)
	}
}

// Between two turns of those that always leave something, all others are served.
func TestPollerLine(t *testing.T) {
	p := newPoller(t)
	const greedy = 8
	var turns, most int // the poller's
	var began sync.WaitGroup
	over := false
	for range greedy {
		began.Add(1)
		var once sync.Once
		client, _, _ := adopt(t, p, time.Minute, func(h *handler, _ *Conn) {
			h.readable = func() {
				once.Do(began.Done)
				turns++
			}
			h.leaves = func() bool { return !over }
		})
		if _, err := client.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	began.Wait()
	modest, c, _ := adopt(t, p, time.Minute, func(h *handler, c *Conn) {
		h.echoes(c)
		echo, roused := h.readable, false
		h.readable = func() {
			echo()
			turns, roused = 0, true
			c.Rouse()
		}
		h.attend = func() {
			if roused {
				most, roused = max(most, turns), false
			}
		}
	})
	if err := talk(modest, 5); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	_, _, _ = adopt(t, p, time.Minute, func(h *handler, _ *Conn) {
		h.attend = func() {
			if over = true; most > 1 {
				t.Errorf("%d turns of others before who was roused", most)
			}
			close(done)
		}
	})
	<-done
	_ = c.Close()
}

// Who is in line and does not take what it is sent comes back when it does, and who has
// ended does not.
func TestPollerLineAndBacklog(t *testing.T) {
	p := newPoller(t)
	const size = 16 << 20
	for _, goes := range []bool{false, true} {
		wrote, again := make(chan struct{}), make(chan struct{})
		client, _, h := adopt(t, p, time.Minute, func(h *handler, c *Conn) {
			calls := 0
			h.readable = func() {
				if calls++; calls == 1 {
					_ = c.WriteFrames(make([]byte, size))
					close(wrote)
				} else if calls == 2 {
					close(again)
				}
			}
			h.leaves = func() bool { return calls < 2 }
		})
		if _, err := client.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		<-wrote
		if goes {
			_ = client.SetLinger(0)
			_ = client.Close()
			<-h.over
			continue
		}
		if _, err := io.CopyN(io.Discard, client, size); err != nil {
			t.Fatal(err)
		}
		<-again
	}
}

// What a handler was roused to say is said, also if the connection is closed before
// its turn comes.
func TestPollerSaysItBeforeTheEnd(t *testing.T) {
	p := newPoller(t)
	busy, free := make(chan struct{}), make(chan struct{})
	adopt(t, p, time.Minute, func(h *handler, _ *Conn) {
		var once sync.Once
		h.attend = func() {
			once.Do(func() {
				close(busy)
				<-free
			})
		}
	})
	<-busy
	client, c, h := adopt(t, p, time.Minute, func(h *handler, c *Conn) {
		h.attend = func() { _ = c.WriteFrames([]byte("go")) }
	})
	c.Rouse()
	_ = c.Close()
	close(free)
	if got, err := io.ReadAll(client); err != nil || string(got) != "go" {
		t.Errorf("the last words are %q, %v", got, err)
	}
	if err := <-h.over; !errors.Is(err, net.ErrClosed) {
		t.Errorf("over: %v", err)
	}
}
