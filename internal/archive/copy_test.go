package archive_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ldlm-io/ldlm/internal/archive"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/node"
)

// past is a directory of a server that is alone, a copy of it, and what was acknowledged after
// the copy was made.
type past struct {
	dir, copied string
	// early has held a lock since before the copy, and has the one named "x" since after it.
	early, late       lock.SessionNumber
	earlyToken, token lock.Token
}

var earlySecret, lateSecret = lock.SecretHash{1}, lock.SecretHash{2}

func acquire(t *testing.T, n *node.Node, session lock.SessionNumber, attach uint64, name string) lock.Token {
	t.Helper()
	return do(t, n, &lock.Acquire{Caller: lock.Caller{Session: session, Attach: attach}, Items: []lock.Item{{Name: name}}}).Token
}

func resume(t *testing.T, n *node.Node, session lock.SessionNumber, secret lock.SecretHash) lock.Outcome {
	t.Helper()
	_, o, err := n.Resume(t.Context(), &lock.Resume{Session: session, Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func attach(t *testing.T, n *node.Node, secret lock.SecretHash) lock.Outcome {
	t.Helper()
	_, o, err := n.Attach(t.Context(), &lock.Open{Secret: secret, TTL: lock.Minute})
	if err != nil || o.Code != lock.OK {
		t.Fatalf("%v, %v", o.Code, err)
	}
	return o
}

func makePast(t *testing.T) (p past) {
	t.Helper()
	p.dir, p.copied = filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "copy")
	n, _, closeNode := open(t, p.dir)
	o := attach(t, n, earlySecret)
	p.early, p.earlyToken = o.Session, acquire(t, n, o.Session, o.Attach, "a")
	closeNode()
	if err := os.CopyFS(p.copied, os.DirFS(p.dir)); err != nil {
		t.Fatal(err)
	}
	n, _, closeNode = open(t, p.dir)
	o = resume(t, n, p.early, earlySecret)
	p.token = acquire(t, n, p.early, o.Attach, "x")
	p.late = attach(t, n, lateSecret).Session
	closeNode()
	return p
}

// told checks what those are told who come back over the copy: the one that was there before has
// what it had then, and the other one is lost.
func (p *past) told(t *testing.T, n *node.Node) {
	t.Helper()
	o := resume(t, n, p.early, earlySecret)
	if o.Code != lock.OK || !slices.Equal(o.Alive.Tokens, []lock.Token{p.earlyToken}) {
		t.Errorf("the older session: %v, it has %+v, want token %d alone", o.Code, o.Alive, p.earlyToken)
	}
	if o := resume(t, n, p.late, lateSecret); o.Code != lock.SessionLost {
		t.Errorf("the younger session: %v", o.Code)
	}
}

// A server that is alone cannot know that its directory is an older copy: it forgets what it
// acknowledged since, and gives tokens out again. Clients are told when they come back, not
// before others can have what they held.
func TestOlderCopy(t *testing.T) {
	p := makePast(t)
	if err := errors.Join(os.RemoveAll(p.dir), os.Rename(p.copied, p.dir)); err != nil {
		t.Fatal(err)
	}
	n, _, _ := open(t, p.dir)
	x := &lock.Acquire{Items: []lock.Item{{Name: "x"}}, Lease: lock.Minute, Key: lock.Key{1}}
	if again := do(t, n, x).Token; again > p.token {
		t.Errorf("token %d, which is above %d: what the documents say of older copies is wrong", again, p.token)
	}
	p.told(t, n)
}

// A snapshot of the copy that is restored lets nobody have what others may believe in, and gives
// out tokens above all of before.
func TestOlderCopyRestored(t *testing.T) {
	p := makePast(t)
	dir := filepath.Join(t.TempDir(), "restored")
	if _, err := read(t, saved(t, p.copied)).Restore(archive.Target{Dir: dir}, 0); err != nil {
		t.Fatal(err)
	}
	n, _, _ := open(t, dir)
	x := &lock.Acquire{Items: []lock.Item{{Name: "x"}}, Lease: lock.Minute, Key: lock.Key{1}}
	if o, err := n.Call(t.Context(), x); err != nil || o.Code != lock.Quiet {
		t.Errorf("in the quiet time: %v, %v", o.Code, err)
	}
	p.told(t, n)
	n.Advance(quietTime)
	if got := do(t, n, x).Token; got <= p.token {
		t.Errorf("token %d after the quiet time; %d was given out before", got, p.token)
	}
}
