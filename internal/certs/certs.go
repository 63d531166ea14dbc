package certs

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// lookEvery is how often files are looked at.
	lookEvery = 30 * time.Second
	// nearExpiry is when a certificate begins to be warned about, and remindEvery
	// how often that is said again.
	nearExpiry  = 14 * 24 * time.Hour
	remindEvery = 24 * time.Hour
)

// Certificates are those of a server, as they are now. Make them with [Open]. All
// methods are safe for concurrent use.
type Certificates struct {
	files Files
	log   *slog.Logger

	// current is replaced as a whole; handshakes read it.
	current atomic.Pointer[generation]

	// mu guards what follows; it is held while files are read.
	mu sync.Mutex
	// seen is the digest of what the files had when they were last loaded, or
	// failed to be.
	seen [sha256.Size]byte
	// again is when what was refused because it is early is to be looked at once
	// more, though the files are the same; zero if nothing was.
	again time.Time
	// reminded is when the expiry was last told; zero if it was not yet.
	reminded time.Time
}

// Open reads the files. Nil without an error means that they are to be none:
// plain text. A certificate that has expired is taken, and warned about, because
// that may be mended while the server runs.
func Open(f Files, log *slog.Logger) (*Certificates, error) {
	switch {
	case f.Certificate == "" && (f.ClientCA != "" || f.VerifyClients):
		return nil, errNoServerTLS
	case f.Certificate == "":
		if f.Key != "" {
			log.Warn("tls_key is ignored: without tls_cert connections are not encrypted", "tls_key", f.Key)
		}
		return nil, nil
	}
	c := &Certificates{files: f, log: log}
	contents := f.read()
	g, err := contents.load(&f)
	if err != nil {
		return nil, err
	}
	c.seen = contents.digest()
	c.current.Store(g)
	log.Info("Loaded gRPC TLS configuration", g.attrs()...)
	c.remind(time.Now())
	return c, nil
}

// Config returns what a listener needs that speaks these protocols. It follows
// the certificates: every handshake takes the present ones.
func (c *Certificates) Config(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: protocols,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			t := c.current.Load().config.Clone()
			t.NextProtos = protocols
			return t, nil
		},
	}
}

// Expiry is when the server's certificate ends.
func (c *Certificates) Expiry() time.Time { return c.current.Load().leaf.NotAfter }

// Run looks at the files now and then, until ctx ends.
func (c *Certificates) Run(ctx context.Context) {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			_ = c.look(false) // told in the log
			c.remind(now)
		}
	}
}

// Reload reads the files now, whether they have changed or not. After an error,
// which is in the log as well, the certificates are what they were.
func (c *Certificates) Reload() error { return c.look(true) }

// look loads the files if they are not what they were.
func (c *Certificates) look(force bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	contents, now := c.files.read(), time.Now()
	digest := contents.digest()
	if due := !c.again.IsZero() && !now.Before(c.again); digest == c.seen && !due && !force {
		return nil
	}
	c.seen, c.again = digest, time.Time{}
	g, err := contents.load(&c.files)
	if err == nil {
		err = c.worse(g, now)
	}
	if err != nil {
		c.log.Error("TLS certificates were not reloaded; the old ones stay in use",
			"err", strings.ReplaceAll(err.Error(), "\n", "; "), "not_after", c.Expiry())
		return err
	}
	c.current.Store(g)
	c.reminded = time.Time{}
	c.log.Info("TLS certificates reloaded", g.attrs()...)
	return nil
}

// worse refuses what nobody could connect with, as long as the present
// certificates are good. What is merely early is looked at again in its time.
func (c *Certificates) worse(g *generation, now time.Time) error {
	present := c.current.Load()
	valid := !now.After(present.leaf.NotAfter) && !now.Before(present.leaf.NotBefore)
	const layout = time.RFC3339
	switch {
	case valid && now.After(g.leaf.NotAfter):
		return fmt.Errorf("the certificate in tls_cert %s has expired on %s; put one there that is valid",
			c.files.Certificate, g.leaf.NotAfter.Format(layout))
	case valid && now.Before(g.leaf.NotBefore):
		c.again = g.leaf.NotBefore
		return fmt.Errorf("the certificate in tls_cert %s is not valid before %s; it is taken then, check the clock if that is not meant",
			c.files.Certificate, g.leaf.NotBefore.Format(layout))
	case g.authoritiesExpired(now) && !present.authoritiesExpired(now):
		return fmt.Errorf("all certificates in client_ca %s have expired, so no client could connect; put one there that is valid",
			c.files.ClientCA)
	}
	return nil
}

// remind warns of the end of the certificate when it is near, once a day.
func (c *Certificates) remind(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.current.Load()
	if now.Sub(c.reminded) < remindEvery {
		return
	}
	if text := g.concern(now); text != "" {
		c.reminded = now
		c.log.Warn(text, g.attrs()...)
	}
}

var errNoServerTLS = errors.New("client TLS certificate verification requires server TLS to be configured\n" +
	"client_ca and client_cert_verify need tls_cert and tls_key: set them, or leave the former out")
