package restapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/lockv1"
	"github.com/ldlm-io/ldlm/internal/probe"
)

// request is one request on its way to its reply.
type request struct {
	*http.Request
	control *http.ResponseController
	server  *Server
	// pass is the caller's, once it was let in.
	pass *auth.Pass
}

// handle answers a request.
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	if s.probes != nil && probe.Is(r.URL.Path) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writePatience)) // those of tests may have none
		s.probes.ServeHTTP(w, r)
		return
	}
	if !s.begin() {
		w.Header().Set("Connection", "close")
		_ = unavailable(msgStopping).write(w) // it closes, delivered or not
		return
	}
	defer s.requests.Done()
	q := &request{Request: r, control: http.NewResponseController(w), server: s}
	a := q.answer() //nolint:contextcheck // the request has the context with it
	now, rest := time.Now(), drainPatience
	if a.closes {
		rest = 0
	}
	// Connections that can have no deadline are those of tests.
	_ = q.control.SetReadDeadline(now.Add(rest))
	_ = q.control.SetWriteDeadline(now.Add(writePatience))
	err := a.write(w)
	if err == nil && a.undelivered != nil {
		err = q.control.Flush()
	}
	if err != nil && a.undelivered != nil {
		a.undelivered()
	}
}

// answer finds the reply, in the order in which clients know the refusals.
func (q *request) answer() *reply {
	if a := q.admit(); a != nil {
		return a
	}
	if err := q.server.origins.Check(q.Request); err != nil {
		return failure(http.StatusForbidden, codeDenied,
			"a web page of another origin asks, which browsers are not to let it: "+err.Error())
	}
	if q.URL.Path == sessionPath {
		switch q.Method {
		case http.MethodPost:
			return q.openSession()
		case http.MethodDelete:
			return q.closeSession()
		}
	}
	return q.inSession()
}

// admit asks who makes the request; nil lets it in, and then it has the caller's pass.
func (q *request) admit() *reply {
	v := &auth.Visitor{Via: transportName, Remote: q.RemoteAddr}
	v.Memory, _ = q.Context().Value(memoryKey{}).(*auth.Memory)
	v.Credential, v.Shown = q.credential()
	if q.TLS != nil && len(q.TLS.VerifiedChains) > 0 {
		v.Certificate = q.TLS.PeerCertificates[0]
	}
	pass, err := q.server.gate.Admit(q.Context(), v)
	refused := (*auth.RefusedError)(nil)
	switch {
	case err == nil:
		q.pass = pass
	case errors.As(err, &refused) && refused.Reason == auth.TooMany:
		a := failure(http.StatusTooManyRequests, codeExhausted,
			"too many wrong passwords have come from this address, and this one was not looked at; try again in some seconds")
		a.retryAfter = retryRefused
		return a
	default:
		return &reply{status: http.StatusUnauthorized, authenticate: q.challenge()}
	}
	if !pass.Principal().MayTake() {
		return q.deny("", "have a session: over REST everything needs one")
	}
	return nil
}

// credential is the password of a user whose name does not matter, as in version 1, or
// a token, which comes by itself.
func (q *request) credential() (credential string, shown bool) {
	if _, password, given := q.BasicAuth(); given {
		return password, true
	}
	const bearer = "bearer "
	if h := q.Header.Get("Authorization"); len(h) >= len(bearer) && strings.EqualFold(h[:len(bearer)], bearer) {
		return h, true
	}
	return "", false
}

// challenge says what may be shown.
func (q *request) challenge() string {
	const basic = `Basic realm="Restricted"`
	if q.server.gate.HasAccounts() {
		return basic + `, Bearer realm="Restricted"`
	}
	return basic
}

// deny is the reply to who was let in and may not do what it wants.
func (q *request) deny(name, what string) *reply {
	err := q.server.gate.Deny(&auth.Deed{Pass: q.pass, Via: transportName, Remote: q.RemoteAddr, Lock: name, What: what})
	return failure(http.StatusForbidden, codeDenied, err.Error())
}

// call carries out a command. The outcome is good if the reply is nil.
func (q *request) call(c lock.Command) (lock.Outcome, *reply) {
	ctx, cancel := context.WithTimeout(q.Context(), callPatience)
	defer cancel()
	o, err := q.server.node.Call(ctx, c)
	switch {
	case err == nil && o.Code == lock.SessionLost:
		return o, unknownSession()
	case err == nil && o.Code == lock.Limit:
		auth.Rest(ctx, q.server.gate.Exceed(&auth.Excess{
			Pass: q.pass, Via: transportName, Remote: func() string { return q.RemoteAddr }, Field: lockv1.LimitName(&o), Limit: o.Limit,
		}))
		return o, nil
	case err == nil:
		return o, nil
	case q.server.draining.Load() && !errors.Is(err, journal.ErrUnknown):
		return o, unavailable(msgStopping)
	case errors.Is(err, journal.ErrDiskFull):
		return o, unavailable(msgDiskFull)
	case errors.Is(err, journal.ErrRefused):
		return o, unavailable("the server cannot serve now, nothing happened; try again")
	default:
		return o, unavailable("the server could not learn the outcome in time; what was asked for is taken back, try again")
	}
}

// callerOf names a session by its secret, and the request so that it can be
// asked again and cancelled.
func callerOf(session *lock.SecretHash) lock.Caller {
	return lock.Caller{Proof: session, RequestID: newRequestID(), Attempt: 1}
}
