package ldlm

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc"
)

// DialOption is an option of [Dial].
type DialOption interface{ applyDial(*config) error }

type dialOption func(*config) error

func (f dialOption) applyDial(c *config) error { return f(c) }

// config is what the options of Dial add up to.
type config struct {
	password    string
	tls         *tls.Config
	ttl         time.Duration
	logger      *slog.Logger
	hooks       Hooks
	overGRPC    bool
	grpcOptions []grpc.DialOption
	closeOnEnd  bool
	info        ClientInfo
	value       []byte
	dial        func(ctx context.Context, address string) (net.Conn, error)
}

// check refuses what cannot be sent.
func (c *config) check() error {
	texts := []string{c.password, c.info.Host, c.info.User, c.info.Program, c.info.Library}
	for k, v := range c.info.Labels {
		texts = append(texts, k, v)
	}
	size := len(c.value)
	for _, text := range texts {
		if size += len(text) + 16; !utf8.ValidString(text) {
			return errors.New("password, description or label of the client is not valid UTF-8")
		}
	}
	if size > maxRequestBytes {
		return fmt.Errorf("password, description and value of the client are larger than a frame can be (limit %d bytes)", maxRequestBytes)
	}
	return nil
}

// WithPassword sets what the client shows to prove who it is. The default is
// nothing.
func WithPassword(password string) DialOption {
	return dialOption(func(c *config) error {
		c.password = password
		return nil
	})
}

// WithToken sets the token that the client shows to prove who it is, as "ldlm token
// create" has printed it. It goes where a password would: the later of both options
// counts. The default is nothing.
func WithToken(token string) DialOption { return WithPassword(token) }

// WithTLSConfig encrypts connections. Without a ServerName in it the host of
// the address is expected; its NextProtos are replaced. The default is plain
// text. Nil is refused.
func WithTLSConfig(t *tls.Config) DialOption {
	return dialOption(func(c *config) error {
		if t == nil {
			return errors.New("TLS configuration is nil")
		}
		c.tls = t.Clone()
		return nil
	})
}

// WithTLSFiles encrypts connections with what is in files of PEM blocks: the
// authorities to believe, and a certificate with its key to show. An empty ca
// believes the system's authorities; empty certificate and key show none. The
// files are read once, by [Dial].
func WithTLSFiles(ca, certificate, key string) DialOption {
	return dialOption(func(c *config) error {
		t := &tls.Config{MinVersion: tls.VersionTLS12}
		if ca != "" {
			pem, err := os.ReadFile(ca)
			if err != nil {
				return fmt.Errorf("certificate authorities: %w", err)
			}
			t.RootCAs = x509.NewCertPool()
			if !t.RootCAs.AppendCertsFromPEM(pem) {
				return fmt.Errorf("certificate authorities: no certificate in %s", ca)
			}
		}
		if certificate != "" || key != "" {
			pair, err := tls.LoadX509KeyPair(certificate, key)
			if err != nil {
				return fmt.Errorf("client certificate: %w", err)
			}
			t.Certificates = []tls.Certificate{pair}
		}
		c.tls = t
		return nil
	})
}

// WithTTL says how long the session, and with it the locks, outlives the last
// keep-alive that a server confirmed. A dead or unreachable client's locks pass
// on after that. 0 and the default leave it to the server (10 s); the server
// refuses what is out of its bounds (2 s to 60 s), at the first call.
func WithTTL(d time.Duration) DialOption {
	return dialOption(func(c *config) error {
		if d < 0 {
			return fmt.Errorf("ttl %s is negative", d)
		}
		c.ttl = d
		return nil
	})
}

// WithLogger says where the client tells what happens to its connections and
// sessions. Nil and the default are nowhere.
func WithLogger(l *slog.Logger) DialOption {
	return dialOption(func(c *config) error {
		c.logger = l
		return nil
	})
}

// WithHooks has functions called as things happen to locks.
func WithHooks(h Hooks) DialOption {
	return dialOption(func(c *config) error {
		c.hooks = h
		return nil
	})
}

// WithGRPC carries the session over a gRPC stream instead of straight on the
// connection: slower, but it passes through whatever speaks HTTP/2 only.
func WithGRPC() DialOption {
	return dialOption(func(c *config) error {
		c.overGRPC = true
		return nil
	})
}

// WithGRPCDialOptions passes options on to the gRPC connections: those of
// [WithGRPC], and in any case those of [Admin] and [Client.Watch]. They come
// after the client's own and win over them.
func WithGRPCDialOptions(opts ...grpc.DialOption) DialOption {
	return dialOption(func(c *config) error {
		c.grpcOptions = append(c.grpcOptions, opts...)
		return nil
	})
}

// WithReleaseOnDisconnect asks the server to end the session at once when this
// client's side ends the connection, as the end of the process does. It is for
// direct connections, where that means death; behind a proxy the proxy's end
// counts as the client's. The default keeps the session for its ttl.
func WithReleaseOnDisconnect() DialOption {
	return dialOption(func(c *config) error {
		c.closeOnEnd = true
		return nil
	})
}

// WithClientInfo replaces what the client tells others of itself. The default
// is host, process, user, program and this library.
func WithClientInfo(info ClientInfo) DialOption {
	return dialOption(func(c *config) error {
		labels := c.info.Labels
		c.info = info
		c.info.Labels = maps.Clone(info.Labels)
		return WithLabels(labels).applyDial(c)
	})
}

// WithLabels adds labels to what the client tells others of itself.
func WithLabels(labels map[string]string) DialOption {
	labels = maps.Clone(labels)
	return dialOption(func(c *config) error {
		if c.info.Labels == nil {
			c.info.Labels = make(map[string]string, len(labels))
		}
		maps.Copy(c.info.Labels, labels)
		return nil
	})
}

// WithSessionValue puts a small value beside the session for others to read.
func WithSessionValue(v []byte) DialOption {
	return dialOption(func(c *config) error {
		c.value = v
		return nil
	})
}

// WithDialer replaces the way to connect. It is called for every connection,
// with an address as it was given to [Dial] or told by a server; what it
// returns is wrapped in TLS if that is asked for.
func WithDialer(dial func(ctx context.Context, address string) (net.Conn, error)) DialOption {
	return dialOption(func(c *config) error {
		if dial == nil {
			return errors.New("dialer is nil")
		}
		c.dial = dial
		return nil
	})
}
