package server

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

// Who reads that a request was refused reads it once.
func TestRefusedIsSaidOnce(t *testing.T) {
	err := refused(fmt.Errorf("%w: %w", journal.ErrRefused, context.Canceled))
	if got, want := err.Error(), "refused: context canceled"; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
	for _, want := range []error{sessionapi.ErrRefused, journal.ErrRefused, context.Canceled} {
		if !errors.Is(err, want) {
			t.Errorf("%v is not %v", err, want)
		}
	}
	if err := refused(journal.ErrUnknown); errors.Is(err, sessionapi.ErrRefused) {
		t.Error("what may have happened is refused")
	}
}
