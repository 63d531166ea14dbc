package ldlm

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// HeldError says who was in the way when a try was refused ([ErrHeld]) or a
// wait was over ([ErrWaitTimeout]).
type HeldError struct {
	// Name of the lock that was not free: of several, the first.
	Name string
	// Holder is the oldest hold in the way. Its Token is 0 if only waiting
	// requests or a lock delay were.
	Holder Holder
	// Age is how long Holder has held the lock.
	Age time.Duration
	// Holders counts the holds of the lock, Waiting the requests in its queue.
	Holders, Waiting int
	// LongestWait is how long the first of the queue has waited.
	LongestWait time.Duration
	// DelayLeft is how long the lock stays shut after an involuntary end of a hold.
	DelayLeft time.Duration
	// Self says that the asking session itself is the holder: the program
	// waits for itself.
	Self bool

	kind error
}

// Error says what was in the way, for people.
func (e *HeldError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "ldlm: lock %q ", shortened(e.Name))
	if errors.Is(e.kind, ErrWaitTimeout) {
		b.WriteString("was not free in time: it ")
	}
	switch {
	case e.Self && e.Holder.Token != 0:
		fmt.Fprintf(&b, "is held by this very session for %s", rounded(e.Age))
	case e.Self:
		b.WriteString("is held by this very session")
	case e.Holder.Token != 0 && e.Holder.Delay:
		b.WriteString("is shut after its holder was lost")
	case e.Holder.Token != 0:
		fmt.Fprintf(&b, "is held by %s for %s", e.Holder, rounded(e.Age))
	case e.DelayLeft > 0:
		b.WriteString("is shut after its holder was lost")
	case e.Waiting > 0:
		b.WriteString("is waited for by others")
	default:
		b.WriteString("is held")
	}
	if e.DelayLeft > 0 {
		fmt.Fprintf(&b, ", for %s more", rounded(e.DelayLeft))
	}
	if e.Holders > 1 {
		fmt.Fprintf(&b, ", %d holders", e.Holders)
	}
	if e.Waiting > 0 {
		fmt.Fprintf(&b, ", %d waiting", e.Waiting)
	}
	return b.String()
}

// Unwrap returns [ErrHeld] or [ErrWaitTimeout].
func (e *HeldError) Unwrap() error { return e.kind }

// rounded drops digits that nobody reads.
func rounded(d time.Duration) time.Duration {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second)
	case d >= time.Second:
		return d.Round(100 * time.Millisecond)
	default:
		return d.Round(time.Millisecond)
	}
}
