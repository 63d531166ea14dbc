package ldlm

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// What errors are, by [errors.Is]. Except where noted nothing happened and
// nothing will, so that asking again is safe; [SafeToRetry] tells.
var (
	// ErrHeld is the refusal of a try. The error is a [*HeldError].
	ErrHeld = errors.New("lock is held")
	// ErrWaitTimeout is the end of a wait bounded by [WaitAtMost]. The error is
	// a [*HeldError].
	ErrWaitTimeout = errors.New("lock was not free in time")
	// ErrLost is the involuntary end of a hold. The error is a [*LostError].
	// What the program did meanwhile has happened.
	ErrLost = errors.New("lock was lost")
	// ErrReleased is the end of a hold by the program's own will.
	ErrReleased = errors.New("lock was released")
	// ErrClosed: the client is closed.
	ErrClosed = errors.New("client is closed")
	// ErrInvalid: an argument is missing or out of range. The [*Error] names
	// the field and its limit.
	ErrInvalid = errors.New("invalid argument")
	// ErrLimit: a limit of the server, or of this client, is reached. The
	// [*Error] names it.
	ErrLimit = errors.New("limit reached")
	// ErrNotFound: no lock of that name.
	ErrNotFound = errors.New("lock does not exist")
	// ErrWrongKey: the key or token is not that of a present hold of this lock.
	ErrWrongKey = errors.New("not the key of a present hold")
	// ErrSizeMismatch: the lock exists with another size.
	ErrSizeMismatch = errors.New("lock has another size")
	// ErrTokenMoved: the hold that a forced release names has ended already.
	ErrTokenMoved = errors.New("hold has ended already")
	// ErrNotLeased: the hold has no lease that could be renewed.
	ErrNotLeased = errors.New("hold has no lease")
	// ErrRevoked: the hold was revoked; it can only be released.
	ErrRevoked = errors.New("hold was revoked")
	// ErrUnavailable: no server could be reached, or none could serve.
	ErrUnavailable = errors.New("no server can serve")
	// ErrUnknownOutcome: the answer did not come in time. What was asked may
	// have happened, or may happen yet. This one is not safe to retry.
	ErrUnknownOutcome = errors.New("outcome unknown")
	// ErrUnauthenticated: the password is missing or wrong.
	ErrUnauthenticated = errors.New("not authenticated")
	// ErrDenied: this client may not do that.
	ErrDenied = errors.New("not permitted")
	// ErrUnsupported: the server does not know the operation.
	ErrUnsupported = errors.New("not supported by the server")
	// ErrReset: a watcher missed events. See [Client.Watch].
	ErrReset = errors.New("events were missed")
	// ErrInternal: a mistake of the server or of this client.
	ErrInternal = errors.New("internal error")
)

// errSessionLost ends calls whose session is lost; callers outside the package
// see it as [ErrUnavailable] or not at all.
var errSessionLost = errors.New("session was lost")

// Error is a call that failed. What kind of failure it is tells [errors.Is]
// with the Err values of this package, or with the error of a context.
type Error struct {
	// Op is what was asked, such as "lock" or "release".
	Op string
	// Name of the lock; empty if the call was not about one.
	Name string
	// Field that was refused, or the limit that is reached; else empty.
	Field string
	// Limit that was exceeded; else 0.
	Limit int64
	// Message is the server's text, for people; may be empty.
	Message string
	// Answered says that a server has said so; otherwise it was found out here, by
	// whoever could not reach one for instance.
	Answered bool

	kind  error
	cause error
}

// Error says what failed, why, and whether anything has happened.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("ldlm: ")
	b.WriteString(e.Op)
	if e.Name != "" {
		fmt.Fprintf(&b, " %q", shortened(e.Name))
	}
	if e.kind != nil {
		b.WriteString(": " + e.kind.Error())
	}
	if e.Field != "" && !strings.Contains(e.Message, e.Field) { // servers name it themselves
		b.WriteString(": " + e.Field)
		if e.Limit != 0 {
			fmt.Fprintf(&b, " (limit %d)", e.Limit)
		}
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.cause != nil {
		b.WriteString(": " + e.cause.Error())
	}
	if errors.Is(e, ErrUnknownOutcome) {
		return b.String() + " (it may have happened)"
	}
	return b.String() + " (nothing happened)"
}

// Unwrap returns the kind of the failure and its cause.
func (e *Error) Unwrap() []error {
	errs := make([]error, 0, 2)
	for _, err := range []error{e.kind, e.cause} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// maxShownBytes bounds how much of a name goes into the text of an error.
const maxShownBytes = 128

func shortened(name string) string {
	if len(name) <= maxShownBytes {
		return name
	}
	return strings.ToValidUTF8(name[:maxShownBytes], "") + "…"
}

// SafeToRetry reports whether an error of this package means that nothing
// happened and nothing will, so that asking again cannot do it twice. It says
// nothing about whether asking again can help: an invalid argument stays
// invalid. It is false for nil, for lost locks, for unknown outcomes and for
// errors of others.
func SafeToRetry(err error) bool {
	var failed *Error
	var held *HeldError
	switch {
	case errors.Is(err, ErrLost), errors.Is(err, ErrUnknownOutcome):
		return false
	case errors.As(err, &held), errors.As(err, &failed):
		return true
	}
	return false
}

// gaveUp is the error of a call whose context ended. Of an acquire it means
// that nothing is held: a grant that was faster is given back.
func gaveUp(ctx context.Context, op, name string) *Error {
	err := ctx.Err()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, err) {
		err = fmt.Errorf("%w: %w", err, cause)
	}
	return &Error{Op: op, Name: name, cause: err}
}

// invalid is the error of an argument that is refused before anything is sent.
func invalid(op, name, field string, limit int64, message string) *Error {
	return &Error{Op: op, Name: name, Field: field, Limit: limit, Message: message, kind: ErrInvalid}
}
