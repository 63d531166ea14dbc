package wire

import (
	"crypto/tls"
	"crypto/x509"
	"net"
)

// Certificate returns the certificate of the other side that TLS has verified; nil if
// there is none.
func (c *Conn) Certificate() *x509.Certificate { return VerifiedCertificate(c.conn) }

// VerifiedCertificate returns the certificate of the other side of a connection that a
// [Listener] gave, if TLS has verified it; else nil.
func VerifiedCertificate(c net.Conn) *x509.Certificate {
	if s, ok := c.(*sniffed); ok {
		c = s.Conn
	}
	t, ok := c.(*tls.Conn)
	if !ok {
		return nil
	}
	if s := t.ConnectionState(); len(s.VerifiedChains) > 0 {
		return s.PeerCertificates[0]
	}
	return nil
}
