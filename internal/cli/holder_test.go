package cli

import (
	"errors"
	"os"
	"testing"
)

// A signal that comes between the grant and the start of the command ends what is
// not there yet.
func TestSignalBeforeTheStart(t *testing.T) {
	signals := make(chan os.Signal, 1)
	h := &holder{signals: signals}
	if err := h.endsBeforeStart(); err != nil {
		t.Errorf("without a signal: %v", err)
	}
	signals <- os.Interrupt
	e := (*exitError)(nil)
	if err := h.endsBeforeStart(); !errors.As(err, &e) || e.code != 130 {
		t.Errorf("error %v, want exit code 130", err)
	}
}
