package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/ldlm-io/ldlm/internal/shortfile"
)

// Files are where certificates are, all in PEM. Errors call them by the names of
// the options.
type Files struct {
	// Certificate of the server with those that it was signed by, its own first
	// (tls_cert), and the key of it (tls_key). Without a certificate there is no TLS.
	Certificate, Key string
	// ClientCA has the certificates that those of clients must be signed by
	// (client_ca). If there is one, clients must show a certificate.
	ClientCA string
	// VerifyClients has clients show a certificate also without a ClientCA
	// (client_cert_verify): one that the system trusts.
	VerifyClients bool
}

// content is what is in a file, or why that cannot be read.
type content struct {
	data []byte
	err  error
}

// contents are what was in the files at one moment, as far as there is one.
type contents struct{ certificate, key, clientCA content }

func (f *Files) read() *contents {
	c := &contents{certificate: readFile(f.Certificate), key: readFile(f.Key)}
	if f.ClientCA != "" {
		c.clientCA = readFile(f.ClientCA)
	}
	return c
}

func readFile(path string) content {
	data, err := shortfile.Read(path)
	return content{data, err}
}

// digest tells contents apart.
func (c *contents) digest() [sha256.Size]byte {
	h := sha256.New()
	for _, x := range []content{c.certificate, c.key, c.clientCA} {
		if x.err != nil {
			x.data = []byte(x.err.Error())
		}
		_ = binary.Write(h, binary.BigEndian, int64(len(x.data))) // a hash takes everything
		h.Write(x.data)
	}
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	return sum
}

// generation is what was loaded at one time. It never changes.
type generation struct {
	config *tls.Config
	leaf   *x509.Certificate
	// authorities are those of clients; nil if the system's are asked.
	authorities []*x509.Certificate
}

// load makes what handshakes need of the contents.
func (c *contents) load(f *Files) (*generation, error) {
	pair, err := c.pair(f)
	if err != nil {
		return nil, err
	}
	g := &generation{leaf: pair.Leaf, config: &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair},
	}}
	if f.ClientCA == "" && !f.VerifyClients {
		return g, nil
	}
	g.config.ClientAuth = tls.RequireAndVerifyClientCert
	// A resumed session would not be asked for its certificate again, and so
	// outlive the authority that signed it.
	g.config.SessionTicketsDisabled = true
	if f.ClientCA == "" {
		return g, nil
	}
	if c.clientCA.err != nil {
		return nil, explained("os.ReadFile() failed to read ca cert", c.clientCA.err, unreadable("client_ca", f.ClientCA, c.clientCA.err))
	}
	g.config.ClientCAs = x509.NewCertPool()
	if !g.config.ClientCAs.AppendCertsFromPEM(c.clientCA.data) {
		return nil, fmt.Errorf("AppendCertsFromPEM() failed to append client ca cert\n"+
			"client_ca %s has no certificate that can be read: it must have PEM blocks that begin with -----BEGIN CERTIFICATE-----", f.ClientCA)
	}
	g.authorities = certificatesIn(c.clientCA.data)
	return g, nil
}

// pair makes certificate and key of the server.
func (c *contents) pair(f *Files) (tls.Certificate, error) {
	const v1 = "LoadX509KeyPair() error loading cert"
	switch {
	case c.certificate.err != nil:
		return tls.Certificate{}, explained(v1, c.certificate.err, unreadable("tls_cert", f.Certificate, c.certificate.err))
	case c.key.err != nil:
		return tls.Certificate{}, explained(v1, c.key.err, unreadable("tls_key", f.Key, c.key.err))
	}
	pair, err := tls.X509KeyPair(c.certificate.data, c.key.data)
	if err != nil {
		return tls.Certificate{}, explained(v1, err, c.unfit(f, err))
	}
	if pair.Leaf == nil { // the library fills it in unless told otherwise
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return tls.Certificate{}, explained(v1, err, "tls_cert "+f.Certificate+" is damaged: write it anew")
		}
	}
	return pair, nil
}

// explained is an error in the words of version 1, with what to do in a second line.
func explained(v1 string, err error, advice string) error {
	return fmt.Errorf("%s: %w\n%s", v1, err, advice)
}

// unreadable says what to do about a file that cannot be read.
func unreadable(option, path string, err error) string {
	switch {
	case path == "":
		return option + " is not set: a certificate needs its key, so set tls_cert and tls_key together"
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("%s names %s, and there is no such file: check the path", option, path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("%s %s may not be read by this process: give its user the right to", option, path)
	default:
		return fmt.Sprintf("%s %s cannot be read: it must be a file in PEM", option, path)
	}
}

// unfit says what to do about a certificate and a key that make no pair.
func (c *contents) unfit(f *Files, err error) string {
	switch {
	case certificatesIn(c.certificate.data) == nil:
		return fmt.Sprintf("tls_cert %s has no certificate that can be read: "+
			"it must have PEM blocks that begin with -----BEGIN CERTIFICATE-----", f.Certificate)
	case encrypted(c.key.data):
		return fmt.Sprintf("tls_key %s is protected by a passphrase, which nobody can type here: "+
			"write it without one (openssl pkey -in %[1]s -out NEW) and let only the server's user read it", f.Key)
	case strings.Contains(err.Error(), "does not match"):
		return fmt.Sprintf("tls_key %s is not the key of the first certificate in tls_cert %s: "+
			"put the server's own certificate first, and its own key beside it", f.Key, f.Certificate)
	default:
		return fmt.Sprintf("tls_key %s has no private key that can be read: "+
			"it must have a PEM block that begins with -----BEGIN PRIVATE KEY-----", f.Key)
	}
}

// encrypted reports whether a key is protected by a passphrase.
func encrypted(data []byte) bool {
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			return false
		}
		if b.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED") {
			return true
		}
	}
}

// certificatesIn are the certificates in PEM blocks that can be read.
func certificatesIn(data []byte) []*x509.Certificate {
	var all []*x509.Certificate
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			return all
		}
		if c, err := x509.ParseCertificate(b.Bytes); b.Type == "CERTIFICATE" && err == nil {
			all = append(all, c)
		}
	}
}

// attrs describe a generation in the log.
func (g *generation) attrs() []any {
	clients := "none"
	if g.config.ClientAuth == tls.RequireAndVerifyClientCert {
		clients = "of the system's authorities"
		if g.authorities != nil {
			clients = "of client_ca"
		}
	}
	return []any{"subject", g.leaf.Subject.String(), "not_after", g.leaf.NotAfter, "client_certificates", clients}
}

// concern says what about the time of the certificates is or will be wrong.
func (g *generation) concern(now time.Time) string {
	switch {
	case now.After(g.leaf.NotAfter):
		return "The TLS certificate has expired: clients refuse to connect. Replace the file; it is read within 30 s"
	case now.Before(g.leaf.NotBefore):
		return "The TLS certificate is not valid yet: clients refuse to connect. Check the clock, or replace the file"
	case g.authoritiesExpired(now):
		return "All certificates in client_ca have expired: no client can connect. Replace the file; it is read within 30 s"
	case now.Add(nearExpiry).After(g.leaf.NotAfter):
		return "The TLS certificate expires soon. Replace the file; it is read within 30 s"
	default:
		return ""
	}
}

func (g *generation) authoritiesExpired(now time.Time) bool {
	for _, a := range g.authorities {
		if now.Before(a.NotAfter) {
			return false
		}
	}
	return g.authorities != nil
}
