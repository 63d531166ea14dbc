package compare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/bench/baton"
	"github.com/ldlm-io/ldlm/bench/echo"
	"github.com/ldlm-io/ldlm/internal/load"
)

// Hidden commands of the program: what a comparison starts as processes of their
// own. Each says when it is ready, and ends with its input.
const (
	echoCommand   = "serve-echo"
	batonCommand  = "serve-baton"
	holderCommand = "hold-locks"
	readyPrefix   = "ready "
)

// Hidden runs a hidden command, if args are one.
func Hidden(args []string, in io.Reader, out io.Writer) (hidden bool, err error) {
	const words = 2
	if len(args) != words {
		return false, nil
	}
	switch args[0] {
	case echoCommand:
		serve := func(l net.Listener) (func(), error) { return echo.Serve(echo.Carrier(args[1]), l) }
		return true, serveUntilEnd(serve, in, out)
	case batonCommand:
		serve := func(l net.Listener) (func(), error) { return baton.Serve(l), nil }
		return true, serveUntilEnd(serve, in, out)
	case holderCommand:
		var h Holder
		if err := json.Unmarshal([]byte(args[1]), &h); err != nil {
			return true, err
		}
		return true, h.hold(in, out)
	default:
		return false, nil
	}
}

// serveUntilEnd has a listener served on a port of its own.
func serveUntilEnd(serve func(net.Listener) (stop func(), err error), in io.Reader, out io.Writer) error {
	var config net.ListenConfig
	l, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	stop, err := serve(l)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	defer stop()
	return readyUntilEnd(l.Addr().String(), in, out)
}

func readyUntilEnd(what string, in io.Reader, out io.Writer) error {
	if _, err := fmt.Fprintln(out, readyPrefix+what); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, in)
	return err
}

// A Holder is a client that takes locks and keeps them until it is ended.
type Holder struct {
	Address string        `json:"address"`
	V1      bool          `json:"v1"`     // speak the first protocol
	Close   bool          `json:"close"`  // have the session end with its connection
	TTL     time.Duration `json:"ttl"`    // of the session; 0 for the server's default
	Prefix  string        `json:"prefix"` // of the names
	Locks   int           `json:"locks"`
}

func (h *Holder) hold(in io.Reader, out io.Writer) error {
	conn, err := h.dial()
	if err != nil {
		return err
	}
	if err := load.Take(context.Background(), conn, h.Prefix, h.Locks); err != nil {
		return err
	}
	if err := readyUntilEnd("", in, out); err != nil {
		return err
	}
	return conn.Close()
}

func (h *Holder) dial() (load.Conn, error) {
	if h.V1 {
		return load.V1(h.Address, nil, "")
	}
	options := []ldlm.DialOption{ldlm.WithTTL(h.TTL)}
	if h.Close {
		options = append(options, ldlm.WithReleaseOnDisconnect())
	}
	return dialLDLM(h.Address, options...)
}

func dialLDLM(address string, options ...ldlm.DialOption) (load.Conn, error) {
	c, err := ldlm.Dial(address, options...)
	if err != nil {
		return nil, err
	}
	return load.Native(c), nil
}
