package cli

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/wire"
)

// probeTimeout bounds how long whoever has a port may take to say who it is.
const probeTimeout = time.Second

// whoAnswers says who has a port that is in use, as far as it tells.
func whoAnswers(ctx context.Context, address string) string {
	switch version, err := ask(ctx, address); {
	case err != nil && askREST(ctx, address):
		return "another ldlm answers there, with REST"
	case err != nil:
		return "whoever has it is no ldlm that answers"
	case version == "":
		return "another ldlm answers there"
	default:
		return "another ldlm answers there, version " + version
	}
}

// ask opens a session at an address, for as long as it takes to learn the
// server's version; "" if the server refuses, which only an ldlm does in frames.
func ask(ctx context.Context, address string) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	conn := wire.NewClientConn(c, probeTimeout)
	defer func() { _ = conn.Close() }()
	if err := conn.SetReadDeadline(time.Now().Add(probeTimeout)); err != nil {
		return "", err
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	err = conn.WriteClient(&ldlmv2.ClientFrame{Hello: &ldlmv2.Hello{
		Version: 2, Secret: secret, OnEndOfStream: ldlmv2.OnEndOfStream_ON_END_OF_STREAM_CLOSE,
		Client: &ldlmv2.ClientInfo{Program: "ldlm dev"},
	}})
	if err != nil {
		return "", err
	}
	var f ldlmv2.ServerFrame
	if err := conn.ReadServer(&f); err != nil {
		return "", err
	}
	switch {
	case f.Welcome != nil:
		_ = conn.WriteClient(&ldlmv2.ClientFrame{Close: &ldlmv2.CloseSession{}}) // it ends with the connection too
		return f.Welcome.Server, nil
	case f.End != nil:
		return "", nil
	default:
		return "", errors.New("an answer that no ldlm gives")
	}
}

// askREST reports whether an ldlm answers at an address with REST, with or without TLS:
// only that says in these words whether it is ready or, in version 1, sends a stranger
// without a cookie away.
func askREST(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	c := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // it is told nothing, and believed no more than in plain text
	}}
	for _, scheme := range []string{"http", "https"} {
		text := readStart(ctx, &c, scheme+"://"+address+"/readyz?verbose")
		if strings.Contains(text, "] draining: ") || strings.Contains(text, "create a new session at /session") {
			return true
		}
	}
	return false
}

// readStart returns the beginning of what is at a URL, or nothing.
func readStart(ctx context.Context, c *http.Client, url string) string {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return ""
	}
	a, err := c.Do(r)
	if err != nil {
		return ""
	}
	defer func() { _ = a.Body.Close() }()
	const enough = 1 << 10
	text, _ := io.ReadAll(io.LimitReader(a.Body, enough))
	return string(text)
}
