// Package certstest issues certificates for tests and writes them to files.
package certstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority signs certificates. Make one with [New]. It is for one goroutine at a
// time.
type Authority struct {
	// File has the authority's own certificate, Pool too.
	File string
	Pool *x509.CertPool

	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Pair is a certificate with its key, and the files that have them.
type Pair struct {
	Certificate, Key string
	TLS              tls.Certificate
}

// New makes an authority whose files go into a folder of the test.
func New(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t, dir: t.TempDir(), key: newKey(t), Pool: x509.NewCertPool()}
	a.cert = &x509.Certificate{
		Subject: pkix.Name{CommonName: "authority of " + t.Name()}, IsCA: true, BasicConstraintsValid: true,
		NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der := a.sign(a.cert, &a.key.PublicKey)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.Pool.AddCert(a.cert)
	a.File = filepath.Join(a.dir, "ca.pem")
	Write(t, a.File, "CERTIFICATE", der)
	return a
}

// Issue makes a certificate for 127.0.0.1 and localhost that is good for a server
// and for a client until then. The files are called by the name.
func (a *Authority) Issue(name string, until time.Time) Pair {
	a.t.Helper()
	return a.IssueFrom(name, time.Time{}, until)
}

// IssueFrom is Issue for a certificate that is not good before a time; the zero
// time is long ago.
func (a *Authority) IssueFrom(name string, from, until time.Time) Pair {
	a.t.Helper()
	key := newKey(a.t)
	der := a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}, &key.PublicKey)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	p := Pair{
		Certificate: filepath.Join(a.dir, name+".pem"), Key: filepath.Join(a.dir, name+".key"),
		TLS: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
	}
	Write(a.t, p.Certificate, "CERTIFICATE", der)
	Write(a.t, p.Key, "PRIVATE KEY", private)
	return p
}

// Client is the configuration of a client that believes this authority, and shows
// the pairs.
func (a *Authority) Client(show ...Pair) *tls.Config {
	c := &tls.Config{RootCAs: a.Pool, MinVersion: tls.VersionTLS12}
	for _, p := range show {
		c.Certificates = append(c.Certificates, p.TLS)
	}
	return c
}

// sign makes a certificate. Unless it has one, its time begins long ago.
func (a *Authority) sign(c *x509.Certificate, public *ecdsa.PublicKey) []byte {
	a.t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber = serial
	if c.NotBefore.IsZero() {
		c.NotBefore = time.Unix(0, 0)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, public, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Write writes one PEM block to a file, in the place of what was there.
func Write(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Copy puts what is in the files of one pair into those of another.
func (p Pair) Copy(t testing.TB, to Pair) {
	t.Helper()
	for from, path := range map[string]string{p.Certificate: to.Certificate, p.Key: to.Key} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil { //nolint:gosec // both pairs are of the test
			t.Fatal(err)
		}
	}
}
