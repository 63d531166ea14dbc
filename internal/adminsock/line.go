package adminsock

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// maxLineBytes bounds a line, its end not counted. A name of 64 KiB, which is the
// longest by default, takes six times as much if all of it must be escaped.
const maxLineBytes = 1 << 20

// An operation is what a request asks for.
type operation string

const (
	opList     operation = "list"
	opUnlock   operation = "unlock"
	opReload   operation = "reload"
	opLogLevel operation = "log_level"
)

// A request is the one line that a client sends.
type request struct {
	Op   operation `json:"op"`
	Name string    `json:"name,omitempty"`
	// Key is nil if any grant of the name will do.
	Key *string `json:"key,omitempty"`
	// Level is the log level that is wanted.
	Level string `json:"level,omitempty"`
}

// check refuses what the operation does not have.
func (r *request) check() error {
	hasLock, hasLevel := r.Name != "" || r.Key != nil, r.Level != ""
	switch r.Op {
	case opList, opReload:
	case opUnlock:
		hasLock = false
	case opLogLevel:
		if !hasLevel {
			return errors.New("log_level needs a level")
		}
		hasLevel = false
	default:
		return fmt.Errorf("there is no operation %.40q", string(r.Op))
	}
	if hasLock || hasLevel {
		return fmt.Errorf("%s takes neither a name, a key nor a level, but for what it is about", r.Op)
	}
	return nil
}

// Grant is one hold of one lock, with all that it takes to end it.
type Grant struct {
	Name string `json:"name"`
	Key  string `json:"key"`
	Size uint32 `json:"size"` // of the lock
}

// A reply is one line of an answer. Exactly one field is set, and the line is the
// last one unless that is Grant.
type reply struct {
	Grant *Grant        `json:"grant,omitempty"`
	Done  bool          `json:"done,omitempty"`
	Error *RefusedError `json:"error,omitempty"`
}

func (r *reply) check() error {
	set := 0
	for _, is := range [...]bool{r.Grant != nil, r.Done, r.Error != nil} {
		if is {
			set++
		}
	}
	if set != 1 {
		return errors.New("a line must be a grant, or done, or an error")
	}
	return nil
}

// Code is a [RefusedError] for programs. The set grows.
type Code string

// Codes of refusals.
const (
	// NotFound: no such lock; or, where no key was given, nobody holds it.
	NotFound Code = "not_found"
	// WrongKey: the key is not that of a present grant.
	WrongKey Code = "wrong_key"
	// BadRequest: the server does not understand the request.
	BadRequest Code = "bad_request"
	// Failed: anything else; the message says what.
	Failed Code = "failed"
)

// RefusedError is the server's word that a request failed.
type RefusedError struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

// Error returns the server's message.
func (e *RefusedError) Error() string { return e.Message }

// appendLine appends v as a line. It fails if the other end would refuse it.
func appendLine(b []byte, v any) ([]byte, error) {
	line, err := json.Marshal(v)
	if err != nil {
		return b, err
	}
	if len(line) > maxLineBytes {
		return b, fmt.Errorf("a line of %d bytes is longer than the limit of %d", len(line), maxLineBytes)
	}
	return append(append(b, line...), '\n'), nil
}

// readLine returns the next line without its end. It is io.EOF only before the
// first byte; a line that is cut off is io.ErrUnexpectedEOF.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(bytes.TrimSuffix(part, []byte{'\n'})) > maxLineBytes {
			return nil, fmt.Errorf("a line is longer than the limit of %d bytes", maxLineBytes)
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}

// decodeLine reads a line into v, which must be empty. It refuses fields that
// nobody knows, more than one value, and text that is not UTF-8: a name must
// not arrive as another one.
func decodeLine(line []byte, v interface{ check() error }) error {
	if !utf8.Valid(line) {
		return errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("not a line of this protocol: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value in a line")
	}
	return v.check()
}
