package config

import (
	"errors"
	"fmt"
	"net"
)

// Validate says what is wrong with settings that are each well-formed, as far as
// that can be seen without starting a server: addresses that are none, files
// that cannot be read, verification of clients without TLS.
func (s *Server) Validate() error {
	var problems []error
	for _, a := range []struct{ name, address string }{
		{"listen_address", s.ListenAddress}, {"rest_listen_address", s.RESTListenAddress},
	} {
		if a.address == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(a.address); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w; it is host:port, or :port for all addresses", a.name, err))
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
	if _, err := s.Passwords(); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}
