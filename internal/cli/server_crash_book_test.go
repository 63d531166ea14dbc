package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"google.golang.org/grpc"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
)

// keyed is a client whose holds are named by their keys.
type keyed interface {
	// begin connects to the present server.
	begin(t *testing.T)
	try(ctx context.Context, name string) (key string, locked bool, err error)
	unlock(ctx context.Context, name, key string) (unlocked bool, err error)
}

// book is what a server has acknowledged to one client. A request without an answer
// leaves its name in doubt, and it is not used again.
type book struct {
	t      *testing.T
	prefix string
	client keyed
	held   map[string]string // name to key
	free   map[string]bool
	names  int
	done   *tally // requests that were answered
	doubt  int
}

func newBook(t *testing.T, prefix string, c keyed) *book {
	t.Helper()
	c.begin(t)
	return &book{t: t, prefix: prefix, client: c, held: map[string]string{}, free: map[string]bool{}, done: newTally()}
}

func (b *book) String() string {
	return fmt.Sprintf("%d requests, %d in doubt, %d held", b.done.n.Load(), b.doubt, len(b.held))
}

// work takes locks and lets some of them go until the server has ended.
func (b *book) work() {
	for i := 0; ; i++ {
		var err error
		switch {
		case len(b.held) > 40 || len(b.held) > 5 && i%2 == 0:
			err = b.unlockOne()
		case len(b.free) > 20:
			err = b.tryFree()
		default:
			b.names++
			err = b.try(fmt.Sprintf("%s/%d", b.prefix, b.names))
		}
		if err != nil {
			b.doubt++
			return
		}
		b.done.add()
	}
}

var errNotAsAcknowledged = errors.New("the server has forgotten")

// try takes a lock that is free.
func (b *book) try(name string) error {
	delete(b.free, name)
	key, locked, err := b.client.try(b.t.Context(), name)
	switch {
	case err != nil:
		return err
	case !locked:
		b.t.Errorf("%s is held, and it was released or never taken", name)
		return errNotAsAcknowledged
	}
	b.held[name] = key
	return nil
}

func (b *book) tryFree() error {
	for name := range b.free {
		return b.try(name)
	}
	return nil
}

// unlockOne lets one of the locks go.
func (b *book) unlockOne() error {
	for name, key := range b.held {
		delete(b.held, name)
		unlocked, err := b.client.unlock(b.t.Context(), name, key)
		switch {
		case err != nil:
			return err
		case !unlocked:
			b.t.Errorf("%s is not held with the key that was acknowledged", name)
			return errNotAsAcknowledged
		}
		b.free[name] = true
		return nil
	}
	return nil
}

// verify compares a server that was just started with the book.
func (b *book) verify() {
	b.client.begin(b.t)
	for name := range b.held {
		if _, locked, err := b.client.try(b.t.Context(), name); err != nil || locked {
			b.t.Errorf("%s was held, and somebody else gets it: %t, %v", name, locked, err)
			delete(b.held, name)
		}
	}
	for range len(b.held) / 2 {
		if err := b.unlockOne(); err != nil {
			b.t.Error(err)
		}
	}
	for range len(b.free) / 2 {
		if err := b.tryFree(); err != nil {
			b.t.Error(err)
		}
	}
}

// keysOfV1 is a client of the first protocol, with a connection for each server.
type keysOfV1 struct {
	v    *victim
	conn *grpc.ClientConn
	stub ldlmv1.LDLMClient
}

func (c *keysOfV1) begin(t *testing.T) {
	t.Helper()
	if c.conn != nil {
		_ = c.conn.Close()
	}
	c.stub, c.conn = dialV1(t, c.v.clients)
}

func (c *keysOfV1) try(ctx context.Context, name string) (string, bool, error) {
	r, err := c.stub.TryLock(ctx, &ldlmv1.TryLockRequest{Name: name})
	return r.GetKey(), r.GetLocked(), err
}

func (c *keysOfV1) unlock(ctx context.Context, name, key string) (bool, error) {
	r, err := c.stub.Unlock(ctx, &ldlmv1.UnlockRequest{Name: name, Key: key})
	return r.GetUnlocked(), err
}

// keysOfREST is a client of REST. Its cookie is good for all servers.
type keysOfREST struct {
	v      *victim
	cookie *http.Cookie
}

func (c *keysOfREST) begin(t *testing.T) {
	t.Helper()
	if c.cookie != nil {
		return
	}
	r, err := http.Post("http://"+c.v.rest+"/session", "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	if r.StatusCode != http.StatusCreated || len(r.Cookies()) != 1 {
		t.Fatalf("a session: %s, %v", r.Status, r.Cookies())
	}
	c.cookie = r.Cookies()[0]
}

// ask asks for something, and wants an answer that is no error.
func (c *keysOfREST) ask(ctx context.Context, path string, request map[string]string) (answer map[string]any, err error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.v.rest+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	q.AddCookie(c.cookie)
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Body.Close() }()
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if r.StatusCode == http.StatusServiceUnavailable || r.StatusCode == http.StatusUnauthorized {
		return nil, fmt.Errorf("%s: %v", r.Status, answer)
	}
	return answer, nil
}

func (c *keysOfREST) try(ctx context.Context, name string) (key string, locked bool, err error) {
	a, err := c.ask(ctx, "/v1/lock", map[string]string{"name": name})
	key, _ = a["key"].(string)
	locked, _ = a["locked"].(bool)
	return key, locked, err
}

func (c *keysOfREST) unlock(ctx context.Context, name, key string) (unlocked bool, err error) {
	a, err := c.ask(ctx, "/v1/unlock", map[string]string{"name": name, "key": key})
	unlocked, _ = a["unlocked"].(bool)
	return unlocked, err
}
