package client_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ldlm-io/ldlm/client"
	"github.com/ldlm-io/ldlm/ldlmtest"
)

// authority issues certificates and writes them to files.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.file, _ = a.issue(t, "ca", nil)
	return a
}

// issue writes a certificate, and its key, for a host; the authority's own for "ca".
func (a *authority) issue(t *testing.T, name string, hosts []net.IP) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: hosts,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if a.cert == nil {
		c.IsCA, c.BasicConstraintsValid, c.ExtKeyUsage = true, true, nil
		a.cert, a.key = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(kind string, der []byte) string {
		file := filepath.Join(a.dir, name+"."+kind)
		b := pem.EncodeToMemory(&pem.Block{Type: strings.ToUpper(kind), Bytes: der})
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return write("certificate", der), write("private key", keyDER)
}

// serveTLS puts TLS in front of a server, which has none, and returns the address.
func serveTLS(t *testing.T, srv *ldlmtest.Server, conf *tls.Config) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", conf)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	all.Go(func() {
		for {
			outer, err := l.Accept()
			if err != nil {
				return
			}
			inner, err := srv.Dial(t.Context(), "")
			if err != nil {
				_ = outer.Close()
				return
			}
			pass := func(to, from net.Conn) {
				_, _ = io.Copy(to, from)
				_ = to.Close()
			}
			all.Go(func() { pass(inner, outer) })
			all.Go(func() { pass(outer, inner) })
		}
	})
	return l.Addr().String()
}

func TestTLSFields(t *testing.T) {
	ca, foreign := newAuthority(t), newAuthority(t)
	loopback := []net.IP{net.IPv4(127, 0, 0, 1)}
	pool := x509.NewCertPool()
	pool.AddCert(mustRead(t, ca.file))
	serverConf := func(certFile, keyFile string, auth tls.ClientAuthType) *tls.Config {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			t.Fatal(err)
		}
		return &tls.Config{
			Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2"}, ClientAuth: auth, ClientCAs: pool,
			MinVersion: tls.VersionTLS12,
		}
	}
	srv := ldlmtest.NewServer(t)
	serverCert, serverKey := ca.issue(t, "server", loopback)
	elsewhereCert, elsewhereKey := ca.issue(t, "elsewhere", []net.IP{net.IPv4(127, 0, 0, 9)})
	clientCert, clientKey := ca.issue(t, "client", nil)
	plain := serveTLS(t, srv, serverConf(serverCert, serverKey, tls.NoClientCert))
	mutual := serveTLS(t, srv, serverConf(serverCert, serverKey, tls.RequireAndVerifyClientCert))
	elsewhere := serveTLS(t, srv, serverConf(elsewhereCert, elsewhereKey, tls.NoClientCert))
	for _, tt := range []struct {
		name string
		conf client.Config
		ok   bool
	}{
		{"CA", client.Config{Address: plain, UseTls: true, CAFile: ca.file}, true},
		{"CA alone asks for TLS", client.Config{Address: plain, CAFile: ca.file}, true},
		{"foreign CA", client.Config{Address: plain, UseTls: true, CAFile: foreign.file}, false},
		{"the system's CAs", client.Config{Address: plain, UseTls: true}, false},
		{"SkipVerify", client.Config{Address: plain, UseTls: true, SkipVerify: true}, true},
		{"no TLS", client.Config{Address: plain}, false},
		{"other host", client.Config{Address: elsewhere, UseTls: true, CAFile: ca.file}, false},
		{"no client certificate", client.Config{Address: mutual, UseTls: true, CAFile: ca.file}, false},
		{"client certificate", client.Config{Address: mutual, UseTls: true, CAFile: ca.file, TlsCert: clientCert, TlsKey: clientKey}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := client.New(t.Context(), tt.conf)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			l, err := c.TryLock(tt.name, nil)
			if got := err == nil && l.Locked; got != tt.ok {
				t.Errorf("locked %v, want %v: %v", got, tt.ok, err)
			}
		})
	}
}

func mustRead(t *testing.T, file string) *x509.Certificate {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestBadConfig(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		conf client.Config
		want string
	}{
		{client.Config{}, "Config.Address is empty"},
		{client.Config{Address: "host:port:more"}, "host:port:more"},
		{client.Config{Address: "h:1", UseTls: true, CAFile: "/nowhere/ca"}, "Config.CAFile: open /nowhere/ca"},
		{client.Config{Address: "h:1", UseTls: true, CAFile: empty}, "no PEM certificate"},
		{client.Config{Address: "h:1", UseTls: true, TlsCert: empty, TlsKey: empty}, "Config.TlsCert and TlsKey"},
	} {
		if _, err := client.New(t.Context(), tt.conf); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q in it", tt.conf, err, tt.want)
		}
	}
}
