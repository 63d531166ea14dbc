package compare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/ldlm-io/ldlm/bench/echo"
	"github.com/ldlm-io/ldlm/internal/proc"
)

// A lab is what measurements work with.
type lab struct {
	ldlm  string // the program
	redis string // the server, "" if there is none
	etcd  string // a member, "" if there is none
	self  string // this program, whose hidden commands are echoes and clients
	dir   string // where servers may write
	sizes Sizes
}

// Sizes say how much work a measurement is.
type Sizes struct {
	WarmUp   time.Duration // before the clock runs
	Duration time.Duration // that a throughput is measured for; 0 for
	Pairs    int64         // so many pairs
	Locks    int           // that are held at once
	Conns    int           // that are open at once
	Kills    int           // of a holder, of which the slowest counts

	// Of a cluster.
	Leaders   int           // that are killed, one after the other
	Transfers int           // of the lead
	Sessions  int           // that are idle
	Idle      time.Duration // for so long
}

// FullSizes are those that goals are for. Throughput is measured for as long as it
// takes to get past the noise of a shared machine.
func FullSizes() Sizes {
	return Sizes{
		WarmUp: 500 * time.Millisecond, Duration: 2 * time.Second, Locks: 100_000, Conns: 1000, Kills: 5,
		Leaders: 20, Transfers: 5, Sessions: 10_000, Idle: time.Minute,
	}
}

// A server is a process that listens, and those that it works with.
type server struct {
	*process
	address string
	beside  []*process // the other members of a cluster
}

// time is the processor time that the server has used.
func (s *server) time() (time.Duration, error) {
	all, err := proc.Time(s.pid())
	for _, p := range s.beside {
		used, other := proc.Time(p.pid())
		all, err = all+used, errors.Join(err, other)
	}
	return all, err
}

// kill ends the server at once, and returns when it has ended.
func (s *server) kill() {
	for _, p := range s.beside {
		p.kill()
	}
	s.process.kill()
}

// newDir returns a folder for a server, on the disk that the lab is on.
func (l *lab) newDir() (string, error) { return os.MkdirTemp(l.dir, "server") }

// startLDLM starts the server, with memory only unless flags say otherwise.
func (l *lab) startLDLM(ctx context.Context, flags ...string) (*server, error) {
	args := append([]string{"server", "--listen_address", "127.0.0.1:0", "--ipc_socket_file", ""}, flags...)
	p, err := start(ctx, "ldlm server", l.ldlm, args...)
	if err != nil {
		return nil, err
	}
	rest, err := p.await(ctx, `"Server runs",`)
	var line struct {
		Address string `json:"address"`
	}
	if err == nil {
		err = json.Unmarshal([]byte("{"+rest), &line)
	}
	if err != nil {
		p.kill()
		return nil, err
	}
	return &server{process: p, address: line.Address}, nil
}

// startRedis starts Redis without persistence, unless arguments say otherwise.
func (l *lab) startRedis(ctx context.Context, more ...string) (*server, error) {
	address, err := freeAddress(ctx, ownLoopback())
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	dir, err := l.newDir()
	if err != nil {
		return nil, err
	}
	args := append([]string{
		"--bind", host, "--port", port, "--daemonize", "no", "--dir", dir, "--save", "", "--appendonly", "no",
	}, more...)
	p, err := start(ctx, "redis-server", l.redis, args...)
	if err != nil {
		return nil, err
	}
	if err := p.awaitPort(ctx, address); err != nil {
		p.kill()
		return nil, err
	}
	return &server{process: p, address: address}, nil
}

// startEcho starts an echo.
func (l *lab) startEcho(ctx context.Context, c echo.Carrier) (*server, error) {
	return l.startHidden(ctx, "echo", echoCommand, string(c))
}

// startBaton starts a server of a baton.
func (l *lab) startBaton(ctx context.Context) (*server, error) {
	return l.startHidden(ctx, "baton", batonCommand, "")
}

// startHidden starts a server that is a hidden command of this program.
func (l *lab) startHidden(ctx context.Context, name, command, word string) (*server, error) {
	p, err := start(ctx, name, l.self, command, word)
	if err != nil {
		return nil, err
	}
	address, err := p.await(ctx, readyPrefix)
	if err != nil {
		p.kill()
		return nil, err
	}
	return &server{process: p, address: strings.TrimSpace(address)}, nil
}

// startHolder starts a client that holds n locks, whose names begin with prefix.
func (l *lab) startHolder(ctx context.Context, h Holder) (*process, error) {
	text, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	p, err := start(ctx, "holder", l.self, holderCommand, string(text))
	if err != nil {
		return nil, err
	}
	if _, err := p.await(ctx, readyPrefix); err != nil {
		p.kill()
		return nil, fmt.Errorf("hold %d locks: %w", h.Locks, err)
	}
	return p, nil
}
