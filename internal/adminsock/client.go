package adminsock

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"unicode/utf8"
)

// A Client asks the server at a socket. It keeps no connection and is safe for
// concurrent use.
type Client struct{ path string }

// NewClient returns a client of the server at that path.
func NewClient(path string) *Client { return &Client{path: path} }

// List calls each for every grant, in no fixed order, until it returns an error.
//
// Errors of this method and of Unlock: those of [net.Dialer.DialContext] as they are if nobody
// answers at the socket, a [*RefusedError] if the server refuses, else what went
// wrong on the way.
func (c *Client) List(ctx context.Context, each func(Grant) error) error {
	return c.ask(ctx, &request{Op: opList}, each)
}

// Unlock ends a grant: that of the key, or any one of the name if key is nil.
func (c *Client) Unlock(ctx context.Context, name string, key *string) error {
	if !utf8.ValidString(name) {
		return &RefusedError{Code: NotFound, Message: textNotFound}
	}
	if key != nil && !utf8.ValidString(*key) {
		return &RefusedError{Code: WrongKey, Message: textWrongKey}
	}
	return c.ask(ctx, &request{Op: opUnlock, Name: name, Key: key}, noGrant)
}

// Reload has the server read its configuration again. Errors are those of Unlock;
// after a [*RefusedError] nothing has changed.
func (c *Client) Reload(ctx context.Context) error {
	return c.ask(ctx, &request{Op: opReload}, noGrant)
}

// SetLogLevel has the server log from another level on, until its configuration
// is read again. Errors are those of Reload.
func (c *Client) SetLogLevel(ctx context.Context, level string) error {
	return c.ask(ctx, &request{Op: opLogLevel, Level: level}, noGrant)
}

// noGrant is for answers that have no list.
func noGrant(Grant) error { return errors.New("the server answered with a list") }

// ask sends a request and hands out what is answered.
func (c *Client) ask(ctx context.Context, q *request, each func(Grant) error) error {
	line, err := appendLine(nil, q)
	if err != nil {
		return err
	}
	err = c.exchange(ctx, line, each)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// exchange returns what went wrong; if ctx has ended, it is not worth saying.
func (c *Client) exchange(ctx context.Context, question []byte, each func(Grant) error) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", c.path)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := conn.Write(question); err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	return readAnswer(bufio.NewReader(conn), each)
}

// readAnswer reads an answer to its end.
func readAnswer(lines *bufio.Reader, each func(Grant) error) error {
	for {
		line, err := readLine(lines)
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("read the server's answer: %w", err)
		}
		var r reply
		if err := decodeLine(line, &r); err != nil {
			return fmt.Errorf("the server's answer: %w", err)
		}
		switch {
		case r.Error != nil:
			return r.Error
		case r.Done:
			return nil
		}
		if err := each(*r.Grant); err != nil {
			return err
		}
	}
}
