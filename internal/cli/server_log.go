package cli

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/ldlm-io/ldlm/internal/spool"
)

// serverLog is the log of a server, which waits for nobody who reads it: it would have
// all clients wait.
type serverLog struct {
	*slog.Logger
	lines *spool.Writer
}

// openLog opens a log on stderr, to be closed when the server is over.
func openLog(p *Process, format string, level slog.Leveler) *serverLog {
	const kept = 1 << 20 // bytes: some thousand lines
	lines := spool.New(p.Stderr, kept, func(n int) []byte {
		var b bytes.Buffer
		slog.New(logHandler(p, &b, format, slog.LevelInfo)).Warn("Lines of the log are missing here: nobody took them in time", "missing", n)
		return b.Bytes()
	})
	return &serverLog{slog.New(logHandler(p, lines, format, level)), lines}
}

// close has what was logged written. It has two seconds of patience with whoever reads,
// which may be nobody, in short pieces: a process that stood still for a while has lost
// one of them, and not all.
func (l *serverLog) close() {
	const pieces, patience = 20, 100 * time.Millisecond
	for range pieces {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		err := l.lines.Close(ctx)
		cancel()
		if err == nil {
			return
		}
	}
}

// logHandler logs in a format: json, text, or auto, which is for people if one
// is there to read, and else for programs.
func logHandler(p *Process, w io.Writer, format string, level slog.Leveler) slog.Handler {
	options := &slog.HandlerOptions{Level: level}
	if format == "text" || format == "auto" && p.StderrIsTerminal {
		return slog.NewTextHandler(w, options)
	}
	return slog.NewJSONHandler(w, options)
}
