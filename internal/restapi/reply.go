package restapi

import (
	"encoding/json"
	"net/http"
	"strconv"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/ldlm-io/ldlm/internal/lock"
)

const (
	typeJSON = "application/json"
	typeText = "text/plain; charset=utf-8"
)

// The numbers that gRPC has for failures; bodies of failures show them.
const (
	codeInvalid       = 3
	codeDeadline      = 4
	codeNotFound      = 5
	codeDenied        = 7
	codeExhausted     = 8
	codeUnimplemented = 12
	codeUnavailable   = 14
)

// retryRefused is how many seconds to wait after too many wrong passwords.
const retryRefused = 5

const msgStopping = "the server is shutting down; try again later, or elsewhere"

// msgDiskFull is what clients are told while there is no room to keep anything.
const msgDiskFull = "the disk of the server's data directory is nearly full, and nothing that changes locks is done until there is room; nothing happened"

// reply is what a request is answered with.
type reply struct {
	status      int
	contentType string
	body        []byte
	cookie      *http.Cookie
	// authenticate asks for a password.
	authenticate string
	// retryAfter is how many seconds the client should wait; 0 does not say.
	retryAfter int
	// accepted says that the session lives, and has been renewed.
	accepted bool
	// closes the connection: the rest of the request is not worth reading.
	closes bool
	// undelivered takes back what the client does not learn of.
	undelivered func()
}

// write writes the reply.
func (a *reply) write(w http.ResponseWriter) error {
	h := w.Header()
	if a.contentType != "" {
		h.Set("Content-Type", a.contentType)
	}
	if a.authenticate != "" {
		h.Set("WWW-Authenticate", a.authenticate)
	}
	if a.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(a.retryAfter))
	}
	if a.cookie != nil {
		h.Set("Set-Cookie", a.cookie.String())
	}
	if a.closes {
		h.Set("Connection", "close")
	}
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	_, err := w.Write(a.body)
	return err
}

// last makes a reply the last one of its connection.
func (a *reply) last() *reply {
	a.closes = true
	return a
}

// message is the reply with a message of the protocol: whatever is said about a
// lock is no failure of the request.
func message(m proto.Message) *reply {
	body, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		// Texts came in as valid UTF-8 and nothing else can be wrong.
		panic("restapi: a message that is no JSON: " + err.Error())
	}
	return &reply{status: http.StatusOK, contentType: typeJSON, body: body}
}

// failure is the reply to a request that came to no answer.
func failure(status, code int, text string) *reply {
	body, err := json.Marshal(struct {
		Code    int      `json:"code"`
		Message string   `json:"message"`
		Details []string `json:"details"`
	}{code, text, []string{}})
	if err != nil {
		panic("restapi: a text that is no JSON: " + err.Error())
	}
	return &reply{status: status, contentType: typeJSON, body: body}
}

func unavailable(text string) *reply {
	return failure(http.StatusServiceUnavailable, codeUnavailable, text)
}

// wordless is the reply to an outcome that the protocol has no words for.
func wordless(o *lock.Outcome) *reply {
	switch o.Code {
	case lock.SessionLost:
		return unknownSession()
	case lock.Canceled:
		return unavailable("the request was taken back, nothing happened; try again")
	default:
		return unavailable("the server cannot serve now; try again")
	}
}

func sessionRefused(text string) *reply {
	return &reply{status: http.StatusUnauthorized, contentType: typeJSON, body: []byte(`{"error": "` + text + `"}`)}
}

func unknownSession() *reply {
	return sessionRefused("session cookie invalid or expired. create a new session at /session")
}
