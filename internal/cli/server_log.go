package cli

import "log/slog"

// logHandler logs in a format: json, text, or auto, which is for people if one
// is there to read, and else for programs.
func logHandler(p *Process, format string, level slog.Leveler) slog.Handler {
	options := &slog.HandlerOptions{Level: level}
	if format == "text" || format == "auto" && p.StderrIsTerminal {
		return slog.NewTextHandler(p.Stderr, options)
	}
	return slog.NewJSONHandler(p.Stderr, options)
}
