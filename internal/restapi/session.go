package restapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/ldlm-io/ldlm/internal/lock"
)

const (
	sessionPath = "/session"
	cookieName  = "ldlm-session"
	// secretBytes is the length of a secret; the cookie has it in hexadecimal.
	secretBytes = 16
	// maxProgramBytes is how much is kept of what a client calls itself.
	maxProgramBytes = 256
	transportName   = "rest"
)

func newRequestID() string { return rand.Text() }

// readSecret reads the value of a cookie: the hash that names a session of the caller,
// false if no session can have it.
func (q *request) readSecret(value string) (*lock.SecretHash, bool) {
	if len(value) != 2*secretBytes || strings.ToLower(value) != value {
		return nil, false
	}
	secret, err := hex.DecodeString(value)
	if err != nil {
		return nil, false
	}
	h := lock.SecretHash(q.pass.Principal().HashSecret(secret))
	return &h, true
}

// openSession answers POST /session.
func (q *request) openSession() *reply {
	s := q.server
	if s.draining.Load() {
		return unavailable(msgStopping)
	}
	secret := make([]byte, secretBytes)
	_, _ = rand.Read(secret) // never fails
	p := q.pass.Principal()
	h := lock.SecretHash(p.HashSecret(secret))
	o, refused := q.call(&lock.Open{
		Secret: h, TTL: lock.Duration(s.timeout.Microseconds()),
		Info: &lock.Info{Remote: q.RemoteAddr, Transport: transportName, Program: program(q.UserAgent()), Principal: p.Name},
	})
	switch {
	case refused != nil:
		return refused
	case o.Code == lock.Limit:
		return failure(http.StatusTooManyRequests, codeExhausted, "the server has its limit of sessions; end some, or try again later")
	case o.Code != lock.OK:
		return wordless(&o)
	}
	attrs := []any{"session_id", uint64(o.Session), "remote_address", q.RemoteAddr, "transport", transportName}
	if p.Name != "" {
		attrs = append(attrs, "principal", p.Name)
	}
	s.log.Info("Session started", attrs...)
	id := hex.EncodeToString(secret)
	return &reply{
		status: http.StatusCreated, contentType: typeJSON, body: []byte(`{"session_id": "` + id + `"}`), cookie: q.cookie(id),
		undelivered: func() {
			// Nobody has the cookie. If this fails, the idle time ends the session.
			_, _ = s.node.Call(context.WithoutCancel(q.Context()), &lock.Close{Caller: lock.Caller{Proof: &h}})
		},
	}
}

// program is what others are told that a client calls itself.
func program(agent string) string {
	return strings.ToValidUTF8(agent[:min(len(agent), maxProgramBytes)], "")
}

// closeSession answers DELETE /session. It waits for a request of the session
// that is under way.
func (q *request) closeSession() *reply {
	c, err := q.Cookie(cookieName)
	if err != nil {
		return &reply{
			status: http.StatusInternalServerError, contentType: typeText, body: []byte(`{"error":"` + err.Error() + `"}`),
		}
	}
	notFound := &reply{status: http.StatusConflict, contentType: typeText, body: []byte(`{"error": "session not found"}`)}
	session, ok := q.readSecret(c.Value)
	if !ok {
		return notFound
	}
	leave, busy := q.takeTurn(session)
	if busy != nil {
		return busy
	}
	defer leave()
	o, refused := q.call(&lock.Close{Caller: lock.Caller{Proof: session}})
	switch {
	case o.Code == lock.SessionLost:
		return notFound
	case refused != nil:
		return refused
	case o.Code != lock.OK:
		return wordless(&o)
	}
	q.server.log.Info("Session ended", "transport", transportName, "remote_address", q.RemoteAddr, "num_locks", o.Count)
	gone := q.cookie("") //nolint:gosec // as below
	gone.Expires = time.Time{}
	return &reply{status: http.StatusOK, contentType: typeJSON, body: []byte(`{"session_id": ""}`), cookie: gone}
}

// inSession answers what only a living session may ask.
func (q *request) inSession() *reply {
	c, err := q.Cookie(cookieName)
	if err != nil {
		return sessionRefused("session cookie not found. create a new session at /session")
	}
	session, ok := q.readSecret(c.Value)
	if !ok {
		return unknownSession()
	}
	leave, busy := q.takeTurn(session)
	if busy != nil {
		return busy
	}
	defer leave()
	a := q.ask(session)
	if a.accepted {
		a.cookie = q.cookie(c.Value)
	}
	return a
}

// takeTurn waits until the session's earlier requests are over, which can be
// nobody's waiting for ever.
func (q *request) takeTurn(session *lock.SecretHash) (leave func(), busy *reply) {
	ctx, cancel := context.WithTimeout(q.Context(), turnPatience)
	defer cancel()
	defer q.server.whenStopping(cancel)()
	leave, err := q.server.turns.take(ctx, *session)
	switch {
	case err == nil:
		return leave, nil
	case q.server.stopping.Err() != nil:
		return nil, unavailable(msgStopping).last()
	default:
		return nil, unavailable("another request of the session is still under way, nothing happened; try again")
	}
}

// cookie hands a session's secret to the client once more. What version 1 said in
// it comes first.
func (q *request) cookie(value string) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // it is secure where the connection is
		Name: cookieName, Value: value, Path: "/", Expires: time.Now().Add(q.server.timeout),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: q.TLS != nil,
	}
}
