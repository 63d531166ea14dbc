package grpcapi_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/grpcapi"
	"github.com/ldlm-io/ldlm/internal/node"
)

// certificate makes one for 127.0.0.1 that signs itself.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// TestOverTLS: connections are what they are without; one that is cut off
// without a farewell was ended by the client all the same.
func TestOverTLS(t *testing.T) {
	cert, pool := certificate(t)
	h := open(t, func(_ *node.Config, c *grpcapi.Config) {
		c.Credentials = credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	})
	addr := h.listen()
	var tcp *net.TCPConn
	dial := func() *grpc.ClientConn {
		c, err := grpc.NewClient("passthrough:///"+addr,
			grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12})),
			grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
				var d net.Dialer
				c, err := d.DialContext(ctx, "tcp", addr)
				if err == nil {
					tcp = c.(*net.TCPConn)
				}
				return c, err
			}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	conn := dial()
	a := &client{ldlmv1.NewLDLMClient(conn), conn, t}
	a.take("v1")
	s, err := ldlmv2.NewLDLMClient(conn).Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	k := &talk{s, t, conn, nil}
	k.begin(ldlmv2.OnEndOfStream_ON_END_OF_STREAM_CLOSE)
	if err := tcp.Close(); err != nil {
		t.Fatal(err)
	}
	h.until("v1", unheld)
	h.until("l", unheld)

	plain := clientAt(t, addr)
	if _, err := plain.TryLock(t.Context(), try("x")); err == nil {
		t.Error("a client without TLS was served")
	}
}
