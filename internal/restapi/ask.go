package restapi

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/lockv1"
)

// party is who has the locks of a REST client.
const party = lockv1.Party("session")

// question is what a request asks, once it was read. Of command and answer there
// is one: what can be answered without the table asks it nothing.
type question struct {
	method  string // in the words of the log
	name    string
	command lock.Command
	// answerTo makes the answer of the outcome; nil if there are no words for it.
	answerTo func(o *lock.Outcome) proto.Message
	answer   proto.Message
}

// read makes the question of a body for a session.
type read func(body []byte, session *lock.SecretHash) (*question, error)

// routes are the paths below a session. All are for POST.
func route(path string) (read, bool) {
	switch path {
	case "/v1/lock":
		return readLock, true
	case "/v1/unlock":
		return readUnlock, true
	case "/v1/renew":
		return readRenew(&ldlmv1.RenewRequest{}), true
	case "/v1/refreshlock":
		return readRenew(&ldlmv1.RefreshLockRequest{}), true
	default:
		return nil, false
	}
}

// ask answers in a session whose turn the request has. The session is renewed by
// the command that carries the request out, or by one that does nothing else.
func (q *request) ask(session *lock.SecretHash) *reply {
	a, c := q.read(session)
	switch {
	case a != nil && a.closes:
		return a // half a request renews nothing
	case a != nil:
		return q.renewed(a, session)
	}
	o, refused := q.call(c.command)
	if refused != nil {
		return refused
	}
	answer := c.answerTo(&o)
	if answer == nil {
		return wordless(&o)
	}
	q.logAnswer(c, answer)
	a = message(answer)
	a.accepted = true
	if r, ok := answer.(*ldlmv1.LockResponse); ok && c.method == methodLock && r.GetLocked() {
		a.undelivered = func() { q.giveBack(c.name, o.Key) }
	}
	return a
}

// renewed is a reply that asks nothing of the table but that the session lives.
func (q *request) renewed(a *reply, session *lock.SecretHash) *reply {
	o, refused := q.call(&lock.KeepAlive{Caller: lock.Caller{Proof: session}})
	switch {
	case refused != nil:
		return refused
	case o.Code != lock.OK:
		return wordless(&o)
	}
	a.accepted = true
	return a
}

// alive renews the session, or says that there is none.
func (q *request) alive(session *lock.SecretHash) *reply {
	yes := &reply{}
	if a := q.renewed(yes, session); a != yes {
		return a
	}
	return nil
}

// The names of questions in the log, as version 1 has them.
const (
	methodLock   = "TryLock"
	methodUnlock = "Unlock"
	methodRenew  = "Renew"
)

// read reads the question; a reply answers it without the table.
func (q *request) read(session *lock.SecretHash) (*reply, *question) {
	reads, known := route(q.URL.Path)
	switch {
	case !known:
		return failure(http.StatusNotFound, codeNotFound, "Not Found"), nil
	case q.Method != http.MethodPost:
		return failure(http.StatusNotImplemented, codeUnimplemented, "Method Not Allowed"), nil
	}
	if q.ContentLength < 0 || q.ContentLength > smallBodyBytes {
		// Whoever has made a cookie up is not to make the server read all this.
		if refused := q.alive(session); refused != nil {
			return refused, nil
		}
	}
	body, refused := q.body()
	if refused != nil {
		return refused, nil
	}
	c, err := reads(body, session)
	switch {
	case err != nil:
		return failure(http.StatusBadRequest, codeInvalid, err.Error()), nil
	case !q.pass.Principal().Takes(c.name):
		return q.deny(c.name, auth.UseLock(c.name)), nil
	case c.method == methodLock && q.server.draining.Load():
		return unavailable(msgStopping), nil
	}
	q.logQuestion(c)
	if c.answer != nil {
		q.logAnswer(c, c.answer)
		return message(c.answer), nil
	}
	return nil, c
}

// body reads the body, whose sender has so long and no longer.
func (q *request) body() ([]byte, *reply) {
	if q.ContentLength > maxBodyBytes && q.Header.Get("Expect") != "" {
		return nil, tooLarge().last() // who asks before sending is spared it
	}
	_ = q.control.SetReadDeadline(time.Now().Add(bodyPatience))
	leave := q.server.whenStopping(func() { _ = q.control.SetReadDeadline(time.Now()) })
	body, err := io.ReadAll(io.LimitReader(q.Body, maxBodyBytes+1))
	large := err == nil && len(body) > maxBodyBytes
	if large {
		_, _ = io.CopyN(io.Discard, q.Body, maxDiscardBytes)
	}
	leave()
	switch {
	case err == nil && !large:
		// As net/http does once a body is over, though it does not promise to: the
		// time of the body is not that of the table.
		_ = q.control.SetReadDeadline(time.Time{})
		return body, nil
	case large:
		return nil, tooLarge()
	case q.server.stopping.Err() != nil:
		return nil, unavailable(msgStopping).last()
	case timedOut(err):
		return nil, failure(http.StatusRequestTimeout, codeDeadline,
			fmt.Sprintf("the body did not come within %s", bodyPatience)).last()
	default:
		return nil, failure(http.StatusBadRequest, codeInvalid, err.Error()).last()
	}
}

func tooLarge() *reply {
	return failure(http.StatusRequestEntityTooLarge, codeExhausted, fmt.Sprintf("the body is larger than %d bytes", maxBodyBytes))
}

func timedOut(err error) bool {
	e := net.Error(nil)
	return errors.As(err, &e) && e.Timeout()
}

// decode reads the first JSON value of a body into a message. An empty body is an
// empty object.
func decode(body []byte, m proto.Message) error {
	var first json.RawMessage
	err := json.NewDecoder(bytes.NewReader(body)).Decode(&first)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil {
		err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(first, m)
	}
	if err != nil {
		// The library varies the white space of its errors on purpose.
		return errors.New(strings.ReplaceAll(err.Error(), "\u00a0", " "))
	}
	return nil
}

func readLock(body []byte, session *lock.SecretHash) (*question, error) {
	var r ldlmv1.TryLockRequest
	if err := decode(body, &r); err != nil {
		return nil, err
	}
	ask := &lockv1.Acquire{Name: r.GetName(), Size: r.Size, Lease: r.GetLockTimeoutSeconds(), Try: true}
	q := &question{method: methodLock, name: r.GetName()}
	if e := ask.Check(); e != nil {
		a := &ldlmv1.LockResponse{Name: r.GetName(), Error: e}
		if ask.Lease >= 0 {
			a.Key = uselessKey()
		}
		q.answer = a
		return q, nil
	}
	c := ask.Command()
	c.Caller = callerOf(session)
	q.command = c
	q.answerTo = func(o *lock.Outcome) proto.Message {
		a := party.AcquireAnswer(r.GetName(), o)
		if a == nil {
			return nil
		}
		if !a.GetLocked() {
			a.Key = uselessKey()
		}
		return a
	}
	return q, nil
}

// uselessKey is what a lock that was not granted has for a key. No client needs
// it, but some may read it.
func uselessKey() string {
	var k lock.Key
	_, _ = rand.Read(k[:])  // never fails
	k[6] = k[6]&0x0f | 0x40 // a random UUID
	k[8] = k[8]&0x3f | 0x80
	return k.String()
}

func readUnlock(body []byte, session *lock.SecretHash) (*question, error) {
	var r ldlmv1.UnlockRequest
	if err := decode(body, &r); err != nil {
		return nil, err
	}
	c := lockv1.Unlock(r.GetName(), r.GetKey())
	c.Caller = callerOf(session)
	return &question{method: methodUnlock, name: r.GetName(), command: c, answerTo: func(o *lock.Outcome) proto.Message {
		if a := party.UnlockAnswer(r.GetName(), o); a != nil {
			return a
		}
		return nil
	}}, nil
}

// renewal is either of the two messages that renew.
type renewal interface {
	proto.Message
	GetName() string
	GetKey() string
	GetLockTimeoutSeconds() int32
}

// readRenew reads a renewal into r.
func readRenew(r renewal) read {
	return func(body []byte, session *lock.SecretHash) (*question, error) {
		if err := decode(body, r); err != nil {
			return nil, err
		}
		q := &question{method: methodRenew, name: r.GetName()}
		if e := lockv1.CheckRenew(r.GetLockTimeoutSeconds()); e != nil {
			q.answer = &ldlmv1.LockResponse{Name: r.GetName(), Error: e}
			return q, nil
		}
		c := lockv1.Renew(r.GetName(), r.GetKey(), r.GetLockTimeoutSeconds())
		c.Caller = callerOf(session)
		q.command = c
		q.answerTo = func(o *lock.Outcome) proto.Message {
			if a := party.RenewAnswer(r.GetName(), r.GetKey(), o); a != nil {
				return a
			}
			return nil
		}
		return q, nil
	}
}

// giveBack releases a lock whose key the client did not get.
func (q *request) giveBack(name string, key lock.Key) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(q.Context()), callPatience)
	defer cancel()
	c := &lock.Release{Hold: lock.Hold{Name: name, Key: key}}
	if _, err := q.server.node.Call(ctx, c); err != nil {
		q.server.log.Warn("A grant that its client did not hear of could not be given back; it ends with its session",
			"lock", name, "err", err)
	}
}

// debugging reports whether requests are logged; a line costs as much as its request.
func (q *request) debugging() bool { return q.server.log.Enabled(q.Context(), slog.LevelDebug) }

func (q *request) logQuestion(c *question) {
	if q.debugging() {
		q.server.log.Debug(c.method+" request", "lock", c.name, "remote", q.RemoteAddr)
	}
}

func (q *request) logAnswer(c *question, answer proto.Message) {
	if !q.debugging() {
		return
	}
	attrs := []any{"lock", c.name, "remote", q.RemoteAddr}
	switch a := answer.(type) {
	case *ldlmv1.LockResponse:
		attrs = append(attrs, "key", lockv1.ShortKey(a.GetKey()), "locked", a.GetLocked(), "error", a.GetError().GetMessage())
	case *ldlmv1.UnlockResponse:
		attrs = append(attrs, "unlocked", a.GetUnlocked(), "error", a.GetError().GetMessage())
	}
	q.server.log.Debug(c.method+" response", attrs...)
}
