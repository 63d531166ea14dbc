package cluster

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// How long certificates are good, from an hour ago: clocks differ.
const (
	authorityLives = 10 * 365 * 24 * time.Hour
	memberLives    = 2 * 365 * 24 * time.Hour
	backdated      = time.Hour
)

// The files of an authority in its directory.
const (
	authorityFile    = "ca.pem"
	authorityKeyFile = "ca-key.pem"
)

// InitAuthority makes an authority that signs the certificates of members, and writes
// its certificate and key into a directory, which is made if it is missing. Files
// that are there are never overwritten.
func InitAuthority(dir string) (certificate, key string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", "", err
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	template := newTemplate("LDLM members", authorityLives)
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	certificate, key = filepath.Join(dir, authorityFile), filepath.Join(dir, authorityKeyFile)
	return certificate, key, writePair(certificate, key, template, template, private, private)
}

// Issue makes a certificate for a member, signed by the authority in dir, and writes it
// and its key beside the authority's, as NAME.pem and NAME-key.pem.
func Issue(dir, member string) (certificate, key string, err error) {
	if err := CheckName(member); err != nil {
		return "", "", err
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, authorityFile), filepath.Join(dir, authorityKeyFile))
	if err != nil {
		return "", "", fmt.Errorf("%w: make an authority with ldlm cluster ca init, or name its directory with --dir", err)
	}
	parent, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return "", "", err
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok || !parent.IsCA {
		return "", "", fmt.Errorf("%s is not the certificate of an authority", filepath.Join(dir, authorityFile))
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	template := newTemplate(member, memberLives)
	template.DNSNames = []string{member}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	certificate, key = filepath.Join(dir, member+".pem"), filepath.Join(dir, member+"-key.pem")
	return certificate, key, writePair(certificate, key, template, parent, private, signer)
}

// CheckName refuses what cannot be the name of a member: it goes into names of files and
// lists with commas.
func CheckName(member string) error {
	const most = 64
	fits := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.'
	}
	switch {
	case member == "" || len(member) > most || member[0] == '.' || strings.HasSuffix(member, "-key") || member == "ca":
		return fmt.Errorf("%q cannot be the name of a member: it has 1 to %d letters, digits, hyphens, underscores and dots", member, most)
	case strings.ContainsFunc(member, func(r rune) bool { return !fits(r) }):
		return fmt.Errorf("%q cannot be the name of a member: it has letters, digits, hyphens, underscores and dots alone", member)
	default:
		return nil
	}
}

func newTemplate(name string, lives time.Duration) *x509.Certificate {
	const bits = 127
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), bits)) // never fails
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-backdated), NotAfter: now.Add(lives),
	}
}

// writePair writes a certificate and its key.
func writePair(certificate, key string, template, parent *x509.Certificate, private, signer crypto.Signer) error {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, private.Public(), signer)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	if err := writeNew(key, 0o600, "PRIVATE KEY", secret); err != nil {
		return err
	}
	if err := writeNew(certificate, 0o644, "CERTIFICATE", der); err != nil {
		return errors.Join(err, os.Remove(key))
	}
	return nil
}

// writeNew writes a file that is not there yet.
func writeNew(path string, mode os.FileMode, kind string, der []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already, and is not overwritten: move it away first", path)
	}
	if err != nil {
		return err
	}
	err = pem.Encode(f, &pem.Block{Type: kind, Bytes: der})
	return errors.Join(err, f.Close())
}
