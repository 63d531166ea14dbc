package wire

import (
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// FrameError says why a frame cannot be read. Nothing after it on the
// connection can be either.
type FrameError struct {
	// Field is where the mistake is, as the .proto file calls it, in dots from
	// the frame down: "hello.client.host". Empty if it is the frame itself.
	Field string
	// Problem says what is wrong.
	Problem string
	// Limit is the limit that was exceeded, 0 if it was none.
	Limit int64
}

// Error returns the mistake in words.
func (e *FrameError) Error() string {
	what := "frame"
	if e.Field != "" {
		what = "frame: " + e.Field
	}
	if e.Limit != 0 {
		return fmt.Sprintf("%s: %s (limit %d)", what, e.Problem, e.Limit)
	}
	return what + ": " + e.Problem
}

var (
	errCut    = &FrameError{Problem: "its fields end in the middle"}
	errNumber = &FrameError{Problem: "it has a number that is none"}
	errGroup  = &FrameError{Problem: "it has a group, which this protocol never uses"}
	errUTF8   = &FrameError{Problem: "not valid UTF-8"}
)

// in adds the field that the mistake is in to the path of the error.
func in(field string, err error) error {
	if err == nil {
		return nil
	}
	var f *FrameError
	if !errors.As(err, &f) {
		return err
	}
	e := *f
	if e.Field != "" {
		field += "."
	}
	e.Field = field + e.Field
	return &e
}

// broken turns the negative length that protowire reports a mistake with into
// an error.
func broken(n int) error {
	if errors.Is(protowire.ParseError(n), io.ErrUnexpectedEOF) {
		return errCut
	}
	return errNumber
}
