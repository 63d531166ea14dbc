package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

const (
	// tokenBytes is how many random bytes a token has.
	tokenBytes = 32
	// tokenMark begins every token, so that one that has got somewhere is found.
	tokenMark = "ldlm_"
	// bearer is what HTTP has before a token.
	bearer = "bearer "
)

// TokenHash is what is kept of a token: SHA-256 of its random bytes. Nobody gets from
// there to the token, since nobody can guess so many bytes.
type TokenHash [sha256.Size]byte

// NewToken draws a token. Only its hash may be kept.
func NewToken() (token string, hash TokenHash) {
	var secret [tokenBytes]byte
	_, _ = rand.Read(secret[:]) // never fails
	return tokenMark + base64.RawURLEncoding.EncodeToString(secret[:]), sha256.Sum256(secret[:])
}

// hashOf returns the hash of a credential that has the form of a token.
func hashOf(credential string) (TokenHash, bool) {
	if len(credential) > len(bearer) && strings.EqualFold(credential[:len(bearer)], bearer) {
		credential = strings.TrimLeft(credential[len(bearer):], " ")
	}
	text, is := strings.CutPrefix(credential, tokenMark)
	if !is || len(text) != base64.RawURLEncoding.EncodedLen(tokenBytes) {
		return TokenHash{}, false
	}
	secret, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(secret) != tokenBytes {
		return TokenHash{}, false
	}
	return sha256.Sum256(secret), true
}
