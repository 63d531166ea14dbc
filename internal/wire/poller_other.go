//go:build !linux

package wire

import (
	"errors"
	"net"
)

// poll is nothing: connections have goroutines of their own here.
type poll struct{}

func (poll) open() error                        { return errors.ErrUnsupported }
func (poll) close()                             {}
func (poll) descriptor(net.Conn) (int, bool)    { return 0, false }
func (poll) add(int) error                      { return errors.ErrUnsupported }
func (poll) ask(int, interest) error            { return errors.ErrUnsupported }
func (poll) release(int)                        {}
func (poll) endWriting(int)                     {}
func (poll) yield()                             {}
func (poll) wake()                              {}
func (poll) look(ready []event, _ bool) []event { return ready[:0] }

type event struct{}

func (event) descriptor() int { return 0 }
func (event) readable() bool  { return false }
func (event) writable() bool  { return false }

var errNothing = errors.ErrUnsupported

type descriptor int

func (descriptor) Read([]byte) (int, error)  { return 0, errors.ErrUnsupported }
func (descriptor) Write([]byte) (int, error) { return 0, errors.ErrUnsupported }
