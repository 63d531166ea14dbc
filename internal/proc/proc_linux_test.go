package proc

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// used returns what the system says of this very process by another call.
func used(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestTimeIsThatOfTheProcess(t *testing.T) {
	for x := uint64(1); used(t) < 20*time.Millisecond; x++ {
		if x == 0 {
			t.Fatal("it must have something to count")
		}
	}
	// The other clock counts the same, in steps of its own.
	const step = 10 * time.Millisecond
	before := used(t)
	got, err := Time(os.Getpid())
	after := used(t)
	if err != nil || got < before-step || got > after+step {
		t.Errorf("got %v, %v; want between %v and %v", got, err, before, after)
	}
}

func TestTimeOfNobody(t *testing.T) {
	const none = 1<<22 + 1 // more than any process has for a number
	if _, err := Time(none); err == nil || err.Error() != "there is no process 4194305" {
		t.Errorf("got %v", err)
	}
}

func TestPSSGrows(t *testing.T) {
	before, err := PSS(os.Getpid())
	if err != nil {
		t.Skip("this system does not tell:", err)
	}
	const size = 32 << 20
	memory, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(memory)
	for i := 0; i < size; i += 4096 {
		memory[i] = 1
	}
	after, err := PSS(os.Getpid())
	if grown := after - before; err != nil || grown < size*3/4 || grown > size*2 {
		t.Errorf("it grew by %d bytes, %v; want about %d", grown, err, size)
	}
}

func TestNoSuchProcess(t *testing.T) {
	const nobody = 1 << 22 // the most that Linux counts to
	if got, err := Time(nobody); err == nil || !strings.Contains(err.Error(), "process 4194304") {
		t.Errorf("time: got %v, %v", got, err)
	}
	if got, err := PSS(nobody); err == nil || !strings.Contains(err.Error(), "process 4194304") {
		t.Errorf("memory: got %v, %v", got, err)
	}
}

func TestBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for _, c := range []struct{ network, address, prefix string }{
		{"tcp4", "127.0.0.1:0", ""}, {"tcp6", "[::1]:0", ""}, {"unix", path, "unix:"}, {"unix", path, "unix://"},
	} {
		l, err := net.Listen(c.network, c.address)
		if err != nil {
			if c.network == "tcp6" {
				t.Log("no IPv6 here:", err)
				continue
			}
			t.Fatal(err)
		}
		got, err := Behind(t.Context(), c.prefix+l.Addr().String())
		if got != os.Getpid() || err != nil {
			t.Errorf("%s: got %d, %v; want %d", l.Addr(), got, err, os.Getpid())
		}
		l.Close()
		// Somebody else may have got the port.
		if got, err := Behind(t.Context(), c.prefix+l.Addr().String()); err == nil && (got == os.Getpid() || c.network == "unix") {
			t.Errorf("%s: nobody listens, and yet it is %d", l.Addr(), got)
		}
	}
}

func TestBehindRefuses(t *testing.T) {
	for _, address := range []string{"", "localhost", "192.0.2.1:1", "127.0.0.1:nonsense", "unix:"} {
		if got, err := Behind(t.Context(), address); err == nil {
			t.Errorf("%q: got %d", address, got)
		}
	}
}
