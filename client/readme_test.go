package client_test

import (
	"context"
	"errors"
	"testing"

	"github.com/ldlm-io/ldlm/client"
	"github.com/ldlm-io/ldlm/ldlmtest"
)

// These are the programs that the documentation of version 1.1.1 shows, with
// what would not compile there put right. They hold if they compile and do what
// is written beside them.

func TestReadmeSimpleLock(t *testing.T) {
	c := newClient(t, ldlmtest.NewServer(t), client.Config{})
	lock, err := c.Lock("my-task", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
}

func TestReadmeWaitTimeout(t *testing.T) {
	srv := ldlmtest.NewServer(t)
	lockOf(t, newClient(t, srv, client.Config{}), "my-task", nil)
	c := newClient(t, srv, client.Config{})
	lock, err := c.Lock("my-task", &client.LockOptions{WaitTimeoutSeconds: 1})
	if err != nil {
		if !errors.Is(err, client.ErrLockWaitTimeout) {
			t.Errorf("the error is not because the wait timeout was exceeded: %v", err)
		}
	}
	defer lock.Unlock() // there even though it is not locked
}

func TestReadmeSimpleTryLock(t *testing.T) {
	c := newClient(t, ldlmtest.NewServer(t), client.Config{})
	for _, locked := range []bool{true, false} {
		lock, err := c.TryLock("my-task", nil)
		if err != nil {
			t.Fatal(err)
		}
		if lock.Locked != locked {
			t.Errorf("locked: %v, want %v", lock.Locked, locked)
		}
		defer lock.Unlock()
	}
}

func TestReadmeSimpleUnlock(t *testing.T) {
	c := newClient(t, ldlmtest.NewServer(t), client.Config{})
	lock := lockOf(t, c, "my_task", nil)
	unlocked, err := c.Unlock("my_task", lock.Key)
	if !unlocked || err != nil {
		t.Errorf("unlocked: %v, %v", unlocked, err)
	}
}

func TestReadmeRefreshLock(t *testing.T) {
	c := newClient(t, ldlmtest.NewServer(t), client.Config{NoAutoRefresh: true})
	lock, err := c.Lock("task1-lock", &client.LockOptions{
		LockTimeoutSeconds: 300,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	for range 2 {
		if _, err := c.RefreshLock("task1-lock", lock.Key, 300); err != nil {
			t.Error(err)
		}
	}
}

// Primary and secondary: the second one leads when the first one's process dies.
func TestReadmeFailover(t *testing.T) {
	srv := ldlmtest.NewServer(t)
	first, second := newClient(t, srv, client.Config{}), newClient(t, srv, client.Config{})
	if lock := lockOf(t, first, "application-primary", nil); !lock.Locked {
		t.Fatal("error: lock returned but not locked")
	}
	leads := make(chan error, 1)
	go func() {
		_, err := second.Lock("application-primary", nil)
		leads <- err
	}()
	_ = first.Close()
	if err := <-leads; err != nil {
		t.Error(err)
	}
}

// Work that another one does already is skipped.
func TestReadmeTaskLocking(t *testing.T) {
	srv := ldlmtest.NewServer(t)
	one, two := newClient(t, srv, client.Config{}), newClient(t, srv, client.Config{})
	done := 0
	for _, c := range []*client.Client{one, two} {
		lock, err := c.TryLock("work-item", nil)
		if err != nil {
			t.Fatal(err)
		}
		if !lock.Locked {
			continue
		}
		defer lock.Unlock()
		done++
	}
	if done != 1 {
		t.Errorf("done %d times", done)
	}
}

// No more than ten at a time, all from one client.
func TestReadmeLimit(t *testing.T) {
	client1 := newClient(t, ldlmtest.NewServer(t), client.Config{})
	var locks []*client.Lock
	for range 10 {
		locks = append(locks, lockOf(t, client1, "ElasticSearchSlot", &client.LockOptions{Size: 10}))
	}
	eleventh, err := client1.TryLock("ElasticSearchSlot", &client.LockOptions{Size: 10})
	if err != nil || eleventh.Locked {
		t.Errorf("the eleventh: %+v, %v", eleventh, err)
	}
	if _, err := client1.TryLock("ElasticSearchSlot", nil); !errors.Is(err, client.ErrLockSizeMismatch) {
		t.Errorf("another size: %v", err)
	}
	for _, lock := range locks {
		if ok, err := lock.Unlock(); !ok || err != nil {
			t.Error(err)
		}
	}
}

func ExampleNew() {
	c, err := client.New(context.Background(), client.Config{
		Address: "localhost:3144",
	})
	if err != nil {
		panic(err)
	}
	defer c.Close()
}
