package grpcapi

import (
	"context"
	"errors"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// ending says what is known of a command after an error of the node.
type ending uint8

const (
	// known: it was carried out, or its cancellation was.
	known ending = iota
	// refused: the table has not seen it and will not.
	refused
	// unknown: it may have happened, or may happen yet.
	unknown
)

func endingOf(err error) ending {
	switch {
	case err == nil:
		return known
	case errors.Is(err, journal.ErrRefused):
		return refused
	case errors.Is(err, journal.ErrUnknown):
		return unknown
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return known
	default:
		return unknown
	}
}
