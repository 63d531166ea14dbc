package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"iter"
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
	Address       string `yaml:"address,omitempty" json:"address"`
	TLS           bool   `yaml:"tls,omitempty" json:"tls,omitempty"`       // encrypt, even if nothing below is given
	TLSCA         string `yaml:"tls_ca,omitempty" json:"tls_ca,omitempty"` // files of PEM blocks
	TLSCert       string `yaml:"tls_cert,omitempty" json:"tls_cert,omitempty"`
	TLSKey        string `yaml:"tls_key,omitempty" json:"tls_key,omitempty"`
	TLSSkipVerify bool   `yaml:"tls_skip_verify,omitempty" json:"tls_skip_verify,omitempty"`
	PasswordFile  string `yaml:"password_file,omitempty" json:"password_file,omitempty"`
	TokenFile     string `yaml:"token_file,omitempty" json:"token_file,omitempty"` // instead of a password
}

// encrypts reports whether anything of it asks for encryption.
func (c *connection) encrypts() bool {
	return c.TLS || c.TLSSkipVerify || c.TLSCA != "" || c.TLSCert != "" || c.TLSKey != ""
}

// addFlags adds the flags of a connection.
func (c *connection) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&c.Address, "address", "", "`HOST:PORT` of the server, several separated by commas, or unix:PATH ($LDLM_ADDRESS, default "+defaultAddress+")")
	flags.BoolVar(&c.TLS, "tls", false, "encrypt; believe the authorities of the system")
	flags.StringVar(&c.TLSCA, "tls-ca", "", "encrypt; believe the authorities in `FILE` ($LDLM_CLIENT_TLS_CA)")
	flags.StringVar(&c.TLSCert, "tls-cert", "", "certificate to show, a `FILE` ($LDLM_CLIENT_TLS_CERT)")
	flags.StringVar(&c.TLSKey, "tls-key", "", "its key, a `FILE` ($LDLM_CLIENT_TLS_KEY)")
	flags.BoolVar(&c.TLSSkipVerify, "tls-skip-verify", false, "encrypt; believe whoever answers")
	flags.StringVar(&c.PasswordFile, "password-file", "", "`FILE` with the password; without it $LDLM_PASSWORD")
	flags.StringVar(&c.TokenFile, "token-file", "", "`FILE` with a token, instead of a password; without it $LDLM_TOKEN")
	flags.SetNormalizeFunc(hyphens)
}

// secretFile is the file of the token or password, and what to call it; none are "".
func (c *connection) secretFile() (path, what string) {
	if c.TokenFile != "" {
		return c.TokenFile, "token"
	}
	return c.PasswordFile, "password"
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
	password string // or the token
	settled  bool   // connection and password are what is used
}

// addClientFlags gives a command the flags that all clients have.
func addClientFlags(p *Process, c *cobra.Command) *clientFlags {
	f := &clientFlags{p: p, flags: c.Flags(), timeout: 10 * time.Second}
	flags := c.Flags()
	f.connection.addFlags(flags)
	flags.StringVar(&f.context, "context", "", "`NAME` of a server in the file of contexts ($LDLM_CONTEXT)")
	flags.Var(durationValue(&f.timeout), "timeout", "how long an answer may take")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "no messages but errors")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "say on stderr what happens to connections")
	flags.Var(choiceValue(&f.color, colorAuto, colorAlways, colorNever), "color", "auto, always or never")
	completeWords(c, "color", colorAuto, colorAlways, colorNever)
	completeContexts(f.p, c, "context")
	return f
}

// hyphens makes underscores and hyphens in names of flags the same.
func hyphens(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	return pflag.NormalizedName(strings.ReplaceAll(name, "_", "-"))
}

// settle fills in what flags leave open, and reads the password.
func (f *clientFlags) settle() error {
	if f.settled {
		return nil
	}
	if err := f.fillIn(); err != nil {
		return err
	}
	c := &f.connection
	if c.Address == "" {
		c.Address = defaultAddress
	}
	if path, what := c.secretFile(); path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("cannot read the file of the %s: %w", what, err)
		}
		if f.password = strings.TrimRight(string(b), "\r\n"); f.password == "" {
			return fmt.Errorf("the file of the %s, %s, is empty", what, path)
		}
	}
	f.settled = true
	return nil
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
		return nil, &exitError{code: exitUsage, err: fmt.Errorf("ldlm: %s", dialText(err))}
	}
	return client, nil
}

// dialText says why there can be no client.
func dialText(err error) string {
	text := strings.TrimPrefix(withoutPackage(err), "dial: "+ldlm.ErrInvalid.Error()+": addresses: ")
	if failed := (*ldlm.Error)(nil); errors.As(err, &failed) && failed.Field == "addresses" {
		text += "\nWant HOST:PORT, several separated by commas, or unix:PATH."
	}
	return text
}

// tlsConfig returns how to encrypt; nil for not at all.
func (c *connection) tlsConfig() (*tls.Config, error) {
	if !c.encrypts() {
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

// inParts goes through an answer that comes in parts, each of which --timeout bounds.
// What is done with them takes its time.
func inParts[T any](ctx context.Context, f *clientFlags, parts func(ctx context.Context) iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		t := time.AfterFunc(f.timeout, func() { cancel(&noAnswerError{f.timeout}) })
		defer t.Stop()
		for part, err := range parts(ctx) {
			t.Stop()
			if !yield(part, err) {
				return
			}
			t.Reset(f.timeout)
		}
	}
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
