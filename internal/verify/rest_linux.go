package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/ldlm-io/ldlm/internal/verify/history"
)

// restWorker speaks REST, each request to another member, with one cookie.
type restWorker struct {
	*worker
	http    *http.Client
	member  int
	session string
}

func (w *worker) runREST(ctx context.Context) error {
	r := &restWorker{worker: w, member: w.number, http: &http.Client{Timeout: callPatience}}
	defer r.http.CloseIdleConnections()
	for w.pause(ctx) == nil {
		if r.session == "" {
			r.open()
			continue
		}
		r.something(ctx)
	}
	return nil
}

// lockAnswer is what a member answers to everything about locks.
type lockAnswer struct {
	Locked    bool            `json:"locked"`
	Unlocked  bool            `json:"unlocked"`
	Key       string          `json:"key"`
	SessionID string          `json:"session_id"`
	Error     json.RawMessage `json:"error"`
}

// ask sends a request to the next member. The status is 0 if there is no answer.
func (r *restWorker) ask(path string, body map[string]any) (int, lockAnswer) {
	var a lockAnswer
	text, err := json.Marshal(body)
	if err != nil {
		return 0, a
	}
	r.member++
	address := "http://" + r.Rests[r.member%len(r.Rests)]
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, address+path, bytes.NewReader(text))
	if err != nil {
		return 0, a
	}
	if r.session != "" {
		request.AddCookie(&http.Cookie{Name: "ldlm-session", Value: r.session})
	}
	response, err := r.http.Do(request)
	if err != nil {
		return 0, a
	}
	defer func() { _ = response.Body.Close() }() // it was read
	text, err = io.ReadAll(response.Body)
	if err != nil || json.Unmarshal(text, &a) != nil {
		return 0, a
	}
	return response.StatusCode, a
}

// open opens a session, if a member can.
func (r *restWorker) open() {
	if code, a := r.ask("/session", nil); code == http.StatusCreated {
		r.session = a.SessionID
	}
}

func (r *restWorker) something(ctx context.Context) {
	it := r.anyLock()
	id := r.begin(r.number, it)
	code, a := r.ask("/v1/lock", map[string]any{"name": it.lock, "size": it.size, "lock_timeout_seconds": firstLease})
	switch {
	case code == http.StatusUnauthorized:
		r.told(id, history.None, 0)
		r.session = ""
	case code != http.StatusOK:
		r.told(id, history.Unknown, 0)
	case a.Locked:
		r.told(id, history.Granted, 0)
		r.use(ctx, id, &restHold{r, it.lock, a.Key}, r.howLong(), callPatience/10)
	case a.Error == nil:
		r.told(id, history.Refused, 0)
	default:
		r.told(id, history.None, 0)
	}
}

// restHold is a hold of REST, known as one of the first protocol is.
type restHold struct {
	r         *restWorker
	name, key string
}

func (h *restHold) sure() (int64, bool) {
	at := monotonic()
	code, a := h.r.ask("/v1/renew", map[string]any{"name": h.name, "key": h.key, "lock_timeout_seconds": firstLease})
	return at, code == http.StatusOK && a.Locked
}

func (h *restHold) release() bool {
	code, a := h.r.ask("/v1/unlock", map[string]any{"name": h.name, "key": h.key})
	return code == http.StatusOK && a.Unlocked
}
