// Package echo has carriers with nothing behind them: servers that send back what
// comes in, and the clients that send it. What they cost is the floor for
// everything that speaks over the same carrier.
//
// A [Conn] passes for a connection of a lock server, so that the same load
// generator drives both: a lock is a message there and back, and so is a release.
package echo

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/ldlm-io/ldlm/internal/load"
)

// payloadBytes is the size of what travels there and back: about an acquire or
// its answer.
const payloadBytes = 64

// A Carrier is a way to bring messages to a server and back.
type Carrier string

// Carriers.
const (
	// Unary: each message is a gRPC call; those of all workers share a connection.
	Unary Carrier = "unary"
	// Stream: a gRPC stream on a connection of its own. One worker may use it.
	Stream Carrier = "stream"
	// Pipelined: a gRPC stream that many workers share, each with a message in flight.
	Pipelined Carrier = "pipelined"
	// TCP: messages of a fixed size on a TCP connection. One worker may use it.
	TCP Carrier = "tcp"
	// Frames: messages on a TCP connection that many workers share. What gathers
	// while one sends goes out together, on both sides.
	Frames Carrier = "frames"
)

// Carriers returns all of them.
func Carriers() []Carrier { return []Carrier{Unary, Stream, Pipelined, TCP, Frames} }

// Shared says whether many workers may use one connection of the carrier at the
// same time.
func (c Carrier) Shared() bool { return c == Unary || c == Pipelined || c == Frames }

// An echoer sends a message and waits until it is back.
type echoer interface {
	echo(ctx context.Context) error
	close() error
}

// Conn is a connection to an echo.
type Conn struct{ carrier echoer }

var (
	_ load.Conn = (*Conn)(nil)
	_ load.Hold = (*Conn)(nil)
)

// Echo sends a message and waits until it is back.
func (c *Conn) Echo(ctx context.Context) error { return c.carrier.echo(ctx) }

// Lock is an echo.
func (c *Conn) Lock(ctx context.Context, _ string) (load.Hold, error) {
	return c, c.carrier.echo(ctx)
}

// Release is another.
func (c *Conn) Release(ctx context.Context) error { return c.carrier.echo(ctx) }

// Close ends the connection.
func (c *Conn) Close() error { return c.carrier.close() }

// Dial connects to the echo at an address, host:port.
func Dial(ctx context.Context, carrier Carrier, address string) (*Conn, error) {
	var e echoer
	var err error
	switch carrier {
	case Unary:
		e, err = dialUnary(address)
	case Stream:
		e, err = dialStream(address) //nolint:contextcheck // the stream lives on after the call
	case Pipelined:
		e, err = dialPipelined(address) //nolint:contextcheck // the stream lives on after the call
	case TCP:
		e, err = dialTCP(ctx, address)
	case Frames:
		e, err = dialFrames(ctx, address)
	default:
		err = fmt.Errorf("there is no carrier %q", carrier)
	}
	if err != nil {
		return nil, err
	}
	return &Conn{e}, nil
}

// Serve echoes what comes in on l until stop is called. It closes l.
func Serve(carrier Carrier, l net.Listener) (stop func(), err error) {
	switch carrier {
	case Unary, Stream, Pipelined:
		return serveGRPC(l), nil
	case TCP, Frames:
		return serveTCP(l), nil
	default:
		return nil, fmt.Errorf("there is no carrier %q", carrier)
	}
}

// asked are those who wait for answers that come in the order of questions.
type asked struct {
	mu     sync.Mutex
	line   []chan error
	ended  error // why no more answers come
	vacant sync.Pool
}

// add lines an asker up. The caller sees to it that questions go out in the same order.
func (a *asked) add() (chan error, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended != nil {
		return nil, a.ended
	}
	c, ok := a.vacant.Get().(chan error)
	if !ok {
		c = make(chan error, 1)
	}
	a.line = append(a.line, c)
	return c, nil
}

// wait waits for an answer.
func (a *asked) wait(c chan error) error {
	err := <-c
	a.vacant.Put(c)
	return err
}

// answer tells the first n askers that their answers are there.
func (a *asked) answer(n int) {
	a.mu.Lock()
	first := a.line[:n]
	a.line = a.line[n:]
	a.mu.Unlock()
	for _, c := range first {
		c <- nil
	}
}

// end tells everybody, now and later, that no more answers come.
func (a *asked) end(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = err
	for _, c := range a.line {
		c <- err
	}
	a.line = nil
}
