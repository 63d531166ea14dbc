package auth

import (
	"crypto/sha256"
	"crypto/x509"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
)

// A Visitor is somebody at the gate, with what it has shown.
type Visitor struct {
	// Credential is a password, or a token, which may have "Bearer " before it.
	// Shown says that there was one at all.
	Credential string
	Shown      bool
	// Certificate is the client's that TLS has verified; nil if there is none.
	Certificate *x509.Certificate
	// Via is how the visitor came, in the words of the audit log, Remote the address
	// that it came from.
	Via, Remote string
	// Memory is that of the visitor's connection; nil where connections have none.
	Memory *Memory
}

// Memory is what a connection remembers of the password that was shown on it last
// and was good: it may be shown again at once, however many wrong ones come from the
// same address. The zero value is that of a new connection.
type Memory struct {
	password atomic.Pointer[[sha256.Size]byte]
}

func (m *Memory) knows(password string) bool {
	if m == nil {
		return false
	}
	known := m.password.Load()
	return known != nil && *known == sha256.Sum256([]byte(password))
}

func (m *Memory) learn(password string) {
	if m == nil {
		return
	}
	h := sha256.Sum256([]byte(password))
	m.password.Store(&h)
}

// address is whom a refusal slows down.
func (v *Visitor) address() string { return addressOf(v.Remote) }

// addressOf is the host of where somebody came from, which for IPv6 is its network of
// 64 bits, for one host has all of that. Those without an address are one.
func addressOf(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return ""
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return ""
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	const network = 64
	prefix, err := ip.Prefix(network)
	if err != nil {
		return ""
	}
	return prefix.String()
}

// CertificateNames are the names that a certificate vouches for, in the form that
// accounts have them in, the most exact ones first.
func CertificateNames(c *x509.Certificate) []string {
	if c == nil {
		return nil
	}
	var all []string
	for _, u := range c.URIs {
		all = append(all, "uri:"+u.String())
	}
	for _, n := range c.DNSNames {
		all = append(all, "dns:"+strings.ToLower(n))
	}
	for _, n := range c.EmailAddresses {
		all = append(all, "email:"+n)
	}
	if n := c.Subject.CommonName; n != "" {
		all = append(all, "cn:"+n)
	}
	return all
}
