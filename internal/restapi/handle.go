package restapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/ldlm-io/ldlm/internal/audit"
	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/probe"
)

// request is one request on its way to its reply.
type request struct {
	*http.Request
	control *http.ResponseController
	server  *Server
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

// admit checks the password; nil lets the request in.
func (q *request) admit() *reply {
	p := q.server.passwords
	if !p.Required() {
		return nil
	}
	_, password, given := q.BasicAuth()
	if given && p.Match(password) {
		return nil
	}
	if given {
		q.server.log.Warn("Invalid password from client", "client_addr", q.RemoteAddr)
	}
	why := "no password"
	if given {
		why = "wrong password"
	}
	q.server.audit.Refuse(audit.Actor{Via: transportName, Remote: q.RemoteAddr}, why)
	return &reply{status: http.StatusUnauthorized, authenticate: `Basic realm="Restricted"`}
}

// call carries out a command. The outcome is good if the reply is nil.
func (q *request) call(c lock.Command) (lock.Outcome, *reply) {
	ctx, cancel := context.WithTimeout(q.Context(), callPatience)
	defer cancel()
	o, err := q.server.node.Call(ctx, c)
	switch {
	case err == nil && o.Code == lock.SessionLost:
		return o, unknownSession()
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
