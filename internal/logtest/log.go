// Package logtest keeps what is logged, for tests to look at. It knows nothing of who
// logs what.
package logtest

import (
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// Log keeps what is written to it. The zero Log is empty. Its methods are safe for
// concurrent use.
type Log struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer. It never fails.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// String returns all that was written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// JSON returns a logger whose lines, from a level on, are kept here as JSON.
func (l *Log) JSON(from slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: from}))
}

// Lines returns the attributes of each line of JSON so far, oldest first. Anything else
// fails the test.
func (l *Log) Lines(t testing.TB) []map[string]any {
	t.Helper()
	var all []map[string]any
	for text := range strings.Lines(l.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("a line that is no JSON: %q: %v", text, err)
		}
		all = append(all, line)
	}
	return all
}
