package auth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/ldlm-io/ldlm/internal/audit"
)

// RefuseHandshake is told that the TLS handshake of a connection has failed. If it was
// the server that did not want the client, for its certificate, for lack of one, or for
// having no version or cipher in common, that is counted and written down. Who hung
// up, was silent, did not want this server, or does not speak TLS at all has not asked
// to be let in.
//
// Nobody is slowed down for it: a certificate cannot be guessed.
func (g *Gate) RefuseHandshake(remote string, err error) {
	if !refusedHandshake(err) {
		return
	}
	g.refusals[Handshake].Add(1)
	why := handshakeText(err)
	g.audit.Refuse(audit.Actor{Via: "tls", Remote: remote}, why)
	if suppressed, ok := g.told.Admit(""); ok {
		g.log.Warn("The TLS handshake of a client was refused", withSuppressed(suppressed, "client_addr", remote, "err", why)...)
	}
}

// refusedHandshake reports whether a handshake ended because the server wanted it to.
func refusedHandshake(err error) bool {
	var noTLS tls.RecordHeaderError
	var outside net.Error // time-outs, resets, and alerts that came from the client
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return false
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.As(err, &outside):
		return false
	default:
		return !errors.As(err, &noTLS)
	}
}

// handshakeText says why, and whose the refused certificate says it is, which nothing
// vouches for.
func handshakeText(err error) string {
	const longestText, longestName = 300, 80
	text := fmt.Sprintf("%.*s", longestText, err)
	var refused *tls.CertificateVerificationError
	if errors.As(err, &refused) && len(refused.UnverifiedCertificates) > 0 {
		text += fmt.Sprintf("; the certificate says %.*q", longestName, refused.UnverifiedCertificates[0].Subject.CommonName)
	}
	return text
}
