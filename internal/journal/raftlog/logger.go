package raftlog

import (
	"bytes"
	"context"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// logWriter passes lines that the libraries log on to slog. What they call
// informative is for debugging here.
type logWriter struct{ log *slog.Logger }

// hclog returns a logger for a library.
func (w *logWriter) hclog(name string) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Name: name, Output: w, Level: hclog.Info, DisableTime: true})
}

// Write implements io.Writer; it is given one line at a time.
func (w *logWriter) Write(line []byte) (int, error) {
	level := slog.LevelDebug
	text := bytes.TrimSpace(line)
	if rest, ok := bytes.CutPrefix(text, []byte("[ERROR]")); ok {
		if text = rest; !expected(text) {
			level = slog.LevelWarn // what matters of it is reported as an error where it is met
		}
	} else if _, rest, ok := bytes.Cut(text, []byte("]")); ok {
		text = rest
	}
	w.log.Log(context.Background(), level, "Raft reports", "line", string(bytes.TrimSpace(text)))
	return len(line), nil
}

// expected reports whether a line says that another member cannot be reached, which raft
// says at every attempt, or has been elected. What matters of it is told once: see noteReach and
// noteLeader.
func expected(line []byte) bool {
	for _, begin := range []string{
		"failed to heartbeat to", "failed to appendEntries to", "failed to make requestVote RPC", "failed to make requestPreVote RPC",
		"failed to contact", "failed to pipeline", "failed to send snapshot", "failed to install snapshot", "failed to make timeout now request",
		"failed to accept connection", "failed to decode incoming command", "failed to flush response",
		"peer has newer term, stopping replication",
	} {
		if bytes.Contains(line, []byte(begin)) {
			return true
		}
	}
	return false
}
