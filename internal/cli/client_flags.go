package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ldlm-io/ldlm"
)

// defaultAddress is where a command looks for a server that nobody named.
const defaultAddress = "127.0.0.1:3144"

// A connection says how to reach a server. Empty fields say nothing.
type connection struct {
	Address       string
	TLS           bool   // encrypt, even if nothing below is given
	TLSCA         string // files of PEM blocks
	TLSCert       string
	TLSKey        string
	TLSSkipVerify bool
	PasswordFile  string
}

// clientFlags are the flags of commands that ask a server.
type clientFlags struct {
	connection connection
	context    string        // name of a set of the above
	timeout    time.Duration // of one question; waits for locks have their own
	quiet      bool
	verbose    bool
	color      string

	p        *Process
	flags    *pflag.FlagSet
	password string
}

// addClientFlags gives a command the flags that all clients have.
func addClientFlags(p *Process, c *cobra.Command) *clientFlags {
	f := &clientFlags{p: p, flags: c.Flags(), timeout: 10 * time.Second}
	flags := c.Flags()
	flags.StringVar(&f.connection.Address, "address", "", "`HOST:PORT` of the server, several separated by commas, or unix:PATH ($LDLM_ADDRESS, default "+defaultAddress+")")
	flags.StringVar(&f.context, "context", "", "`NAME` of a server in the file of contexts ($LDLM_CONTEXT)")
	flags.BoolVar(&f.connection.TLS, "tls", false, "encrypt; believe the authorities of the system")
	flags.StringVar(&f.connection.TLSCA, "tls-ca", "", "encrypt; believe the authorities in `FILE` ($LDLM_CLIENT_TLS_CA)")
	flags.StringVar(&f.connection.TLSCert, "tls-cert", "", "certificate to show, a `FILE` ($LDLM_CLIENT_TLS_CERT)")
	flags.StringVar(&f.connection.TLSKey, "tls-key", "", "its key, a `FILE` ($LDLM_CLIENT_TLS_KEY)")
	flags.BoolVar(&f.connection.TLSSkipVerify, "tls-skip-verify", false, "encrypt; believe whoever answers")
	flags.StringVar(&f.connection.PasswordFile, "password-file", "", "`FILE` with the password; without it $LDLM_PASSWORD")
	flags.Var(durationValue(&f.timeout), "timeout", "how long an answer may take")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "no messages but errors")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "say on stderr what happens to connections")
	flags.StringVar(&f.color, "color", "auto", "auto, always or never")
	flags.SetNormalizeFunc(hyphens)
	return f
}

// hyphens makes underscores and hyphens in names of flags the same.
func hyphens(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	return pflag.NormalizedName(strings.ReplaceAll(name, "_", "-"))
}

// settle fills in what flags leave open: from variables, then from the context,
// then by default.
func (f *clientFlags) settle() error {
	c := &f.connection
	for _, v := range []struct {
		field    *string
		variable string
	}{
		{&c.Address, "LDLM_ADDRESS"},
		{&c.TLSCA, "LDLM_CLIENT_TLS_CA"},
		{&c.TLSCert, "LDLM_CLIENT_TLS_CERT"},
		{&c.TLSKey, "LDLM_CLIENT_TLS_KEY"},
		{&f.context, "LDLM_CONTEXT"},
	} {
		if *v.field == "" {
			*v.field = f.p.Getenv(v.variable)
		}
	}
	if c.PasswordFile == "" {
		f.password = f.p.Getenv("LDLM_PASSWORD")
	}
	if err := f.useContext(); err != nil {
		return err
	}
	if c.Address == "" {
		c.Address = defaultAddress
	}
	if c.PasswordFile != "" {
		b, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return fmt.Errorf("--password-file: %w", err)
		}
		if f.password = strings.TrimRight(string(b), "\r\n"); f.password == "" {
			return fmt.Errorf("--password-file: %s is empty", c.PasswordFile)
		}
	}
	switch f.color {
	case "auto", "always", "never":
		return nil
	default:
		return fmt.Errorf("--color is auto, always or never, not %q", f.color)
	}
}

// dial makes a client of what flags, variables and context say. It connects when
// it is first used.
func (f *clientFlags) dial(more ...ldlm.DialOption) (*ldlm.Client, error) {
	if err := f.settle(); err != nil {
		return nil, &exitError{code: exitUsage, err: fmt.Errorf("ldlm: %w", err)}
	}
	var opts []ldlm.DialOption
	if f.password != "" {
		opts = append(opts, ldlm.WithPassword(f.password))
	}
	encryption, err := f.connection.tlsConfig()
	if err == nil && encryption != nil {
		opts = append(opts, ldlm.WithTLSConfig(encryption))
	}
	if f.verbose {
		opts = append(opts, ldlm.WithLogger(slog.New(slog.NewTextHandler(f.p.Stderr, nil))))
	}
	var client *ldlm.Client
	if err == nil {
		client, err = ldlm.Dial(f.connection.Address, append(opts, more...)...)
	}
	if err != nil {
		return nil, &exitError{code: exitUsage, err: fmt.Errorf("ldlm: %s", strings.TrimPrefix(err.Error(), "ldlm: "))}
	}
	return client, nil
}

// tlsConfig returns how to encrypt; nil for not at all.
func (c *connection) tlsConfig() (*tls.Config, error) {
	if !c.TLS && !c.TLSSkipVerify && c.TLSCA == "" && c.TLSCert == "" && c.TLSKey == "" {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.TLSSkipVerify} //nolint:gosec // asked for by name
	if c.TLSCA != "" {
		pem, err := os.ReadFile(c.TLSCA)
		if err != nil {
			return nil, fmt.Errorf("--tls-ca: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--tls-ca: no certificate in %s", c.TLSCA)
		}
	}
	if c.TLSCert == "" && c.TLSKey == "" {
		return t, nil
	}
	if c.TLSCert == "" || c.TLSKey == "" {
		return nil, errors.New("--tls-cert and --tls-key go together: one of them is missing")
	}
	pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert, --tls-key: %w", err)
	}
	t.Certificates = []tls.Certificate{pair}
	return t, nil
}

// connected runs do with a client and a context that a signal ends, and says what
// to do next if it fails.
func (f *clientFlags) connected(ctx context.Context, do func(ctx context.Context, c *ldlm.Client) error) (err error) {
	client, err := f.dial()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	ctx, stop := f.p.interruptible(ctx)
	defer stop()
	return f.advise(ctx, do(ctx, client))
}

// ask is connected for one question: --timeout bounds it.
func (f *clientFlags) ask(ctx context.Context, do func(ctx context.Context, c *ldlm.Client) error) error {
	return f.connected(ctx, func(ctx context.Context, c *ldlm.Client) error {
		return f.inTime(ctx, func(ctx context.Context) error { return do(ctx, c) })
	})
}

// inTime bounds a question by --timeout.
func (f *clientFlags) inTime(ctx context.Context, question func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, f.timeout, &noAnswerError{f.timeout})
	defer cancel()
	return question(ctx)
}

// A noAnswerError is the end of a question by --timeout.
type noAnswerError struct{ within time.Duration }

func (e *noAnswerError) Error() string {
	return fmt.Sprintf("no answer within %s (--timeout)", shortDuration(e.within))
}

// note tells people something, unless they want it quiet.
func (f *clientFlags) note(format string, args ...any) {
	if !f.quiet {
		fmt.Fprintf(f.p.Stderr, "ldlm: "+format+"\n", args...)
	}
}
