package cli

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ldlm-io/ldlm"
)

func TestUnlockByKey(t *testing.T) {
	s := newSite(t)
	l := takeLock(t, s.client(t, "db-1"), "a b", ldlm.Lease(time.Minute))
	s.wants(t, 1, "", "ldlm: release \"a b\": that is not the key of a present hold; the hold has ended, or the key is another lock's\nWho holds it: ldlm get 'a b'\n",
		"unlock", "a b", "00000000-0000-0000-0000-000000000001")
	s.wants(t, 1, "", "there is no lock \"nope\"", "unlock", "nope", l.Key())
	s.wants(t, 64, "", "KEY is missing; without it --force takes the lock from its holder", "unlock", "a b")
	s.wants(t, 64, "", "go with --force", "unlock", "a b", l.Key(), "--token", "1")
	s.wants(t, 64, "", "one is enough", "unlock", "a b", l.Key(), "--token", "1", "--force")
	s.wants(t, 0, "", "ldlm: \"a b\": the lease ends in 1m30s\n", "renew", "a b", l.Key(), "--lease", "90")
	s.wants(t, 1, "", "Who holds it: ldlm get 'a b'\n", "renew", "a b", "x", "--lease", "90")
	s.wants(t, 64, "", "--lease is missing", "renew", "a b", l.Key())
	s.wants(t, 64, "", "KEY is missing", "renew", "a b")
	s.wants(t, 0, "", "ldlm: released \"a b\"\n", "unlock", "a b", l.Key())
	s.wants(t, 1, "", "that is not the key of a present hold", "unlock", "a b", l.Key())
	<-l.Done()
}

// A script says which hold it means, so that it cannot break a newer one.
func TestUnlockForceInScripts(t *testing.T) {
	s := newSite(t)
	first := takeLock(t, s.client(t, "db-1"), "a b")
	next := s.wait(t, "db-2", "a b")
	s.wants(t, 64, "", "ldlm unlock: there is no terminal to ask on; --yes says that you mean it\n", "unlock", "--force", "a b")
	s.wants(t, 64, "", "it is held by ops@db-1 pid 41\nIf that is it: ldlm unlock --force --yes --token "+tokenOf(first)+" 'a b'\n", "unlock", "--force", "--yes", "a b")
	s.wants(t, 1, "", "the hold that you mean has ended; it is held by ops@db-1 pid 41 now, and nothing was changed\n", "unlock", "--force", "--yes", "--token", "7", "a b")
	s.wants(t, 1, "", "the token of a hold, not its key; nothing was changed\nIf you mean that hold: ldlm unlock --force --token "+tokenOf(first)+" 'a b'\n", "unlock", "--force", "--yes", "a b", tokenOf(first))
	s.wants(t, 1, "", "there is no lock", "unlock", "--force", "--yes", "nope")
	if err := first.Err(); err != nil {
		t.Fatalf("it was taken away: %v", err)
	}
	got := s.ldlm(t, "unlock", "--force", "--yes", "--token", tokenOf(first), "a b", "--reason", "test")
	second := <-next
	want := "Released. Next holder: ops@db-2 pid 41 (token " + tokenOf(second) + "). If word of it does not reach the former holder, that may believe in the lock for "
	if got.code != 0 || got.stdout != "" || !strings.HasPrefix(got.stderr, want) {
		t.Errorf("got %+v, want %s", got, want)
	}
	<-first.Done()
	if lost := (*ldlm.LostError)(nil); !errors.As(first.Err(), &lost) || lost.Reason != ldlm.ReasonForced {
		t.Errorf("the holder is told %v", first.Err())
	}
	s.wants(t, 1, "", "now, and nothing was changed\nLook: ldlm get 'a b'\n", "unlock", "--force", "--yes", "--token", tokenOf(first), "a b")
	s.wants(t, 1, "", "and nothing was changed", "unlock", "--force", "--yes", "a b", first.Key())
	s.wants(t, 0, "", "Released. Nobody waits for it.", "unlock", "--force", "--yes", "a b", second.Key())
	<-second.Done()
	s.wants(t, 1, "", "ldlm: \"a b\" is not held\n", "unlock", "--force", "--yes", "a b")
	s.wants(t, 1, "", "ldlm: \"a b\" is not held\n", "unlock", "--force", "--yes", "--token", tokenOf(second), "a b")
}

func TestUnlockForceOfSeveral(t *testing.T) {
	s := newSite(t)
	c := s.client(t, "db-1")
	one, two := takeLock(t, c, "slots", ldlm.Size(2)), takeLock(t, c, "slots")
	s.wait(t, "db-2", "slots", ldlm.Permits(2))
	s.wants(t, 1, "", "\"slots\" has 2 holders; --token says which one you mean\nLook: ldlm get slots\n", "unlock", "--force", "--yes", "slots")
	s.wants(t, 0, "", "Released. 1 request waits for more permits than are free.", "unlock", "--force", "--yes", "--token", tokenOf(two), "slots")
	<-two.Done()
	if one.Err() != nil {
		t.Error("the other holder lost its hold")
	}
	s.wants(t, 0, "", "ldlm: \"slots\" has size 3\n", "resize", "slots", "3")
	s.wants(t, 64, "", "the size is \"0\"; want a number of at least 1", "resize", "slots", "0")
	s.wants(t, 64, "", "the size is \"x\"", "resize", "slots", "x")
	s.wants(t, 1, "", "there is no lock \"nope\"", "resize", "nope", "3")
}

// The lock delay after a hold is said, and cannot be taken away.
func TestUnlockForceOfLockDelay(t *testing.T) {
	s := newSite(t)
	l := takeLock(t, s.client(t, "db-1"), "x", ldlm.LockDelay(time.Minute))
	s.wants(t, 0, "", "Released. The lock delay keeps it shut for 1m more.", "unlock", "--force", "--yes", "--token", tokenOf(l), "x")
	s.wants(t, 1, "", "the lock delay after its last holder keeps it shut\n", "unlock", "--force", "--yes", "x")
}

// With --wait the holder is asked, and the command goes on until it has let go.
func TestUnlockForceGently(t *testing.T) {
	s := newSite(t)
	l := takeLock(t, s.client(t, "db-1"), "x")
	next := s.wait(t, "db-2", "x")
	r := start(t, Ldlm, s.env, "unlock", "--force", "--yes", "--wait", "--token", tokenOf(l), "x")
	r.stderr.await(t, "The holder was asked to let go; it loses the lock in ")
	<-l.Done()
	s.wants(t, 0, "Revoked:", "", "get", "x")
	if err := l.Release(t.Context()); err != nil && !errors.Is(err, ldlm.ErrLost) {
		t.Fatal(err)
	}
	second := <-next
	if got, want := r.wait(), "Released. Next holder: ops@db-2 pid 41 (token "+tokenOf(second)+").\n"; got.code != 0 || !strings.HasSuffix(got.stderr, want) {
		t.Errorf("got %+v, want %s", got, want)
	}
	r = start(t, Ldlm, s.env, "unlock", "--force", "--yes", "--wait", "--token", tokenOf(second), "x")
	r.stderr.await(t, "The holder was asked to let go")
	if got := r.stop(os.Interrupt); got.code != 130 {
		t.Errorf("^C while it waits: %+v", got)
	}
}
