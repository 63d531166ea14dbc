//go:build !unix

package audit

import "errors"

func openSyslog() (sink, error) {
	return nil, errors.New("audit_log: this system has no syslog; use a file, or stderr")
}
