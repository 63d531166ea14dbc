//go:build unix

package audit

import (
	"fmt"
	"log/syslog"
	"strings"
)

// journal is the log of the system.
type journal struct{ w *syslog.Writer }

func openSyslog() (sink, error) {
	w, err := syslog.New(syslog.LOG_NOTICE|syslog.LOG_AUTHPRIV, "ldlm")
	if err != nil {
		return nil, fmt.Errorf("audit_log: the system's log does not answer: %w; use a file, or stderr", err)
	}
	return journal{w}, nil
}

func (j journal) write(line []byte) error { return j.w.Notice(strings.TrimSuffix(string(line), "\n")) }
func (journal) reopen() error             { return nil }
func (j journal) Close() error            { return j.w.Close() }
