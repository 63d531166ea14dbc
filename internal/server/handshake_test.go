package server_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/audit"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/certs"
	"github.com/ldlm-io/ldlm/internal/certs/certstest"
	"github.com/ldlm-io/ldlm/internal/server"
)

// lines is an audit log's stderr whose lines somebody waits for.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	l <- string(b)
	return len(b), nil
}

// A client whose certificate is no good, on either port, is in the audit log with its
// address and why it was refused, and counted; whoever went away by itself is not.
func TestRefusedCertificatesAreInTheAuditLog(t *testing.T) {
	own, foreign := certstest.New(t), certstest.New(t)
	pair := own.Issue("server", time.Now().Add(time.Hour))
	written := make(lines, 100)
	log, err := audit.Open(audit.ToStderr, written, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := log.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	certificates, err := certs.Open(certs.Files{Certificate: pair.Certificate, Key: pair.Key, ClientCA: own.File}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	gate := auth.NewGate(auth.GateConfig{Audit: log})
	p := startPorts(t, func(c *server.Config) { c.Certificates, c.Gate, c.Audit = certificates, gate, log })
	refused := uint64(0)
	for _, address := range []string{p.clients, p.rest} {
		goAway(t, address)
		for _, tt := range []struct {
			name, want string
			change     func(c *tls.Config)
		}{
			{"no certificate", "tls: client didn't provide a certificate", func(*tls.Config) {}},
			{"an expired one", `has expired or is not yet valid`, func(c *tls.Config) {
				c.Certificates = []tls.Certificate{own.Issue("late", time.Now().Add(-time.Hour)).TLS}
			}},
			{"a foreign one", `signed by unknown authority`, func(c *tls.Config) {
				c.Certificates = []tls.Certificate{foreign.Issue("foreign", time.Now().Add(time.Hour)).TLS}
			}},
			{"an old version", "unsupported versions", func(c *tls.Config) {
				c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
			}},
		} {
			cfg := own.Client()
			tt.change(cfg)
			from := beRefused(t, address, cfg)
			refused++
			var e audit.Entry
			if err := json.Unmarshal([]byte(<-written), &e); err != nil {
				t.Fatal(err)
			}
			if e.Action != audit.Refused || e.Actor != (audit.Actor{Via: "tls", Remote: from}) || !strings.Contains(e.Reason, tt.want) {
				t.Errorf("%s: wrote down %+v, want a refusal of %s because %q", tt.name, e, from, tt.want)
			}
		}
	}
	if got, want := gate.Counts(), (auth.Counts{Handshake: refused}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	good := own.Issue("client", time.Now().Add(time.Hour))
	c, err := ldlm.Dial(p.clients, ldlm.WithTLSFiles(own.File, good.Certificate, good.Key))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	status, err := c.Admin().Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r := status.Refusals; r == nil || *r != (ldlm.Refusals{Handshake: refused}) {
		t.Errorf("the status says %+v were refused, want %d by TLS alone", r, refused)
	}
}

// goAway makes a connection that hangs up, and one that speaks no TLS.
func goAway(t *testing.T, address string) {
	t.Helper()
	for _, say := range []string{"", "GET / HTTP/1.1\r\n\r\n"} {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, say); err != nil {
			t.Error(err)
		}
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Error(err)
		}
		_, _ = io.Copy(io.Discard, c) // until the server has closed it
		_ = c.Close()
	}
}

// beRefused returns the address that it came from.
func beRefused(t *testing.T, address string, cfg *tls.Config) (from string) {
	t.Helper()
	raw, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	cfg.ServerName = "localhost"
	c := tls.Client(raw, cfg)
	if err = c.HandshakeContext(t.Context()); err == nil { // under TLS 1.3 it learns later
		_, err = c.Read(make([]byte, 1))
	}
	if err == nil {
		t.Error("was let in")
	}
	return raw.LocalAddr().String()
}
