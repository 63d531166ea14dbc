package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// Files are those that say who a member is, all in PEM: the authority that has
// signed the certificates of all members, this member's certificate, and its key.
// They are read anew for every connection, so that they can be replaced.
type Files struct{ Authority, Certificate, Key string }

// Given reports whether there are to be certificates at all.
func (f *Files) Given() bool { return *f != Files{} }

// Check reads the files, and makes sure that the certificate is a member's.
func (f *Files) Check(member string) error {
	if f.Authority == "" || f.Certificate == "" || f.Key == "" {
		return errors.New("cluster_ca, cluster_cert and cluster_key belong together: give all three")
	}
	pair, pool, err := f.read()
	if err != nil {
		return err
	}
	if err := verify(pool, pair.Leaf); err != nil {
		if _, stranger := errors.AsType[x509.UnknownAuthorityError](err); stranger {
			return fmt.Errorf("cluster_cert %s is not signed by cluster_ca %s: %w", f.Certificate, f.Authority, err)
		}
		return fmt.Errorf("cluster_cert %s: %w", f.Certificate, err)
	}
	if name := pair.Leaf.Subject.CommonName; name != member {
		return fmt.Errorf("cluster_cert %s is the certificate of member %q, and this is member %q: issue one with ldlm cluster ca issue %s",
			f.Certificate, name, member, member)
	}
	return nil
}

func (f *Files) read() (*tls.Certificate, *x509.CertPool, error) {
	pair, err := tls.LoadX509KeyPair(f.Certificate, f.Key)
	if err != nil {
		return nil, nil, fmt.Errorf("cluster_cert %s, cluster_key %s: %w", f.Certificate, f.Key, err)
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return nil, nil, fmt.Errorf("cluster_cert %s: %w", f.Certificate, err)
		}
	}
	text, err := os.ReadFile(f.Authority)
	if err != nil {
		return nil, nil, fmt.Errorf("cluster_ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, nil, fmt.Errorf("cluster_ca %s has no certificate in it", f.Authority)
	}
	return &pair, pool, nil
}

// Expires returns when the first of the certificates does that the member needs: its own, or the
// newest of the authority; zero in plain text.
func (f *Files) Expires() (time.Time, error) {
	if !f.Given() {
		return time.Time{}, nil
	}
	pair, _, err := f.read()
	if err != nil {
		return time.Time{}, err
	}
	text, err := os.ReadFile(f.Authority)
	if err != nil {
		return time.Time{}, fmt.Errorf("cluster_ca: %w", err)
	}
	var authority time.Time
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && c.NotAfter.After(authority) {
			authority = c.NotAfter
		}
	}
	if pair.Leaf.NotAfter.Before(authority) {
		return pair.Leaf.NotAfter, nil
	}
	return authority, nil
}

// config is that of one connection, from either side. Names are compared in the hello,
// because a member is where its name says and not where a host's does.
func (f *Files) config() (*tls.Config, error) {
	pair, pool, err := f.read()
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{*pair}, NextProtos: []string{"ldlm-member"},
		ClientAuth: tls.RequireAnyClientCert, InsecureSkipVerify: true, //nolint:gosec // VerifyConnection does it, for both sides
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return errors.New("the other side has no certificate")
			}
			return verify(pool, s.PeerCertificates[0])
		},
	}, nil
}

// verify makes sure that a certificate comes from the authority of the members.
func verify(pool *x509.CertPool, c *x509.Certificate) error {
	_, err := c.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if invalid, is := errors.AsType[x509.CertificateInvalidError](err); is && invalid.Reason == x509.Expired {
		return fmt.Errorf("%w: check the clock of both hosts, or make another with ldlm cluster ca issue", err)
	}
	return err
}

// certifiedName is the name in the certificate of the other side; "" in plain text.
func certifiedName(c net.Conn) string {
	t, ok := c.(*tls.Conn)
	if !ok {
		return ""
	}
	return t.ConnectionState().PeerCertificates[0].Subject.CommonName
}
