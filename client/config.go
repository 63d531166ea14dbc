package client

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"

	"google.golang.org/grpc"

	"github.com/ldlm-io/ldlm"
)

// Config says how to reach a server. Only Address is needed. Fields may be
// added at the end: use field names in literals.
type Config struct {
	Address       string // host:port address of ldlm server
	NoAutoRefresh bool   // Don't automatically refresh locks before they expire
	UseTls        bool   // use TLS to connect to the server
	SkipVerify    bool   // don't verify the server's certificate
	CAFile        string // file containing a CA certificate
	TlsCert       string // file containing a TLS certificate for this client
	TlsKey        string // file containing a TLS key for this client
	Password      string // password to send
	MaxRetries    int    // maximum number of retries on network error or server unreachable

	// NoAutoRenew is NoAutoRefresh under its later name: either switches
	// renewal off.
	NoAutoRenew bool
	// OnLockLost, if it is set, is called when a lock ends against the program's
	// will, in a goroutine of its own. err matches ldlm.ErrLost.
	OnLockLost func(lock *Lock, err error)
	// PanicOnLockLost ends the program when a lock is lost, as version 1.1.1 did
	// when a lock could not be refreshed.
	PanicOnLockLost bool
	// Logger is told of lost locks; nil is slog.Default().
	Logger *slog.Logger
	// Token is sent instead of Password, if it is set.
	Token string
}

// options are what a Config means to package ldlm.
func (c *Config) options(extra []grpc.DialOption) ([]ldlm.DialOption, error) {
	opts := []ldlm.DialOption{
		ldlm.WithGRPC(), ldlm.WithReleaseOnDisconnect(), ldlm.WithGRPCDialOptions(extra...),
	}
	if c.Password != "" {
		opts = append(opts, ldlm.WithPassword(c.Password))
	}
	if c.Token != "" {
		opts = append(opts, ldlm.WithToken(c.Token))
	}
	t, err := c.tls()
	if err != nil {
		return nil, err
	}
	if t != nil {
		opts = append(opts, ldlm.WithTLSConfig(t))
	}
	return opts, nil
}

// tls is the TLS configuration, nil for plain text. A certificate or an
// authority asks for TLS as UseTls does: they mean nothing without it.
func (c *Config) tls() (*tls.Config, error) {
	if !c.UseTls && c.CAFile == "" && c.TlsCert == "" && c.TlsKey == "" {
		return nil, nil
	}
	t := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: c.SkipVerify, //nolint:gosec // what the field is for
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("client: Config.CAFile: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("client: Config.CAFile: no PEM certificate in %s", c.CAFile)
		}
	}
	if c.TlsCert != "" || c.TlsKey != "" {
		pair, err := tls.LoadX509KeyPair(c.TlsCert, c.TlsKey)
		if err != nil {
			return nil, fmt.Errorf("client: Config.TlsCert and TlsKey: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

// autoRefresh reports whether locks with a timeout are renewed.
func (c *Config) autoRefresh() bool { return !c.NoAutoRefresh && !c.NoAutoRenew }
