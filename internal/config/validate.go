package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"path/filepath"
	"strings"
)

// Validate says what is wrong with settings that are each well-formed, as far as
// that can be seen without starting a server: addresses that are none, files
// that cannot be read, verification of clients without TLS.
func (s *Server) Validate() error {
	var problems []error
	for _, a := range []struct{ name, address string }{
		{"listen_address", s.ListenAddress}, {"rest_listen_address", s.RESTListenAddress}, {"admin_listen_address", s.AdminListenAddress},
	} {
		if path, is := strings.CutPrefix(a.address, UnixPrefix); a.address == "" || is && path != "" {
			continue
		}
		if _, _, err := net.SplitHostPort(a.address); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w; it is host:port, or :port for all addresses, or unix:PATH", a.name, err))
		}
	}
	for _, f := range []struct{ name, path string }{
		{"tls_cert", s.TLSCert}, {"tls_key", s.TLSKey}, {"client_ca", s.ClientCA},
	} {
		if f.path == "" {
			continue
		}
		if _, err := readBounded(f.path); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", f.name, err))
		}
	}
	switch {
	case s.TLSCert == "" && (s.ClientCA != "" || s.ClientCertVerify):
		problems = append(problems, errors.New("client TLS certificate verification requires server TLS to be configured: set tls_cert and tls_key"))
	case s.TLSCert != "" && s.TLSKey == "":
		problems = append(problems, errors.New("tls_cert needs tls_key"))
	}
	for _, l := range []struct {
		name string
		none bool
	}{
		{"max_sessions", s.MaxSessions == 0}, {"max_locks", s.MaxLocks == 0}, {"max_waiters", s.MaxWaiters == 0},
		{"max_waiters_per_lock", s.MaxWaitersPerLock == 0}, {"max_bytes", s.MaxBytes == 0 || s.MaxBytes > math.MaxInt64}, {"max_bytes_per_principal", s.MaxBytesPerPrincipal > math.MaxInt64},
		{"max_rest_connections", s.MaxRESTConnections == 0},
	} {
		if l.none {
			problems = append(problems, fmt.Errorf("%s: it must be at least 1, or 0 where that is no limit, and not beyond all bounds", l.name))
		}
	}
	if s.QuietStart < 0 {
		problems = append(problems, fmt.Errorf("quiet_start: it is %v, and cannot be negative; 0s is none", s.QuietStart))
	}
	if _, err := s.Passwords(); err != nil {
		problems = append(problems, err)
	}
	if _, err := s.SocketRights(); err != nil {
		problems = append(problems, err)
	}
	if _, err := s.Directory(); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// Directory returns where locks are kept: data_dir, or the directory beside
// state_file; "" for in memory.
func (s *Server) Directory() (string, error) {
	switch {
	case s.StateFile == "":
		return s.DataDir, nil
	case s.DataDir == "":
		return filepath.Clean(s.StateFile) + ".d", nil
	default:
		return "", fmt.Errorf("state_file and data_dir both say where locks are kept: leave one of them out. "+
			"With data_dir alone, %s is not read; with state_file alone, its locks are taken over into %s.d, which data_dir may name from then on",
			s.StateFile, filepath.Clean(s.StateFile))
	}
}
