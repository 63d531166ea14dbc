// Command failover keeps one of two processes at work: a primary holds a lock
// and works, a backup waits for it. The primary is killed, the backup takes over,
// and at no moment are there two.
//
// This file is what a program needs of it, with package ldlm and with package
// client; proof.go starts, kills and watches.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/client"
)

// lockName is what primary and backup agree on.
const lockName = "example/failover"

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "failover:", err)
		os.Exit(1)
	}
}

// A member is one of the processes that want to be primary.
type member struct {
	name    string
	journal string // the file that the primary writes
}

// modern is a member in the terms of package ldlm. Its lock passes on 8 seconds
// after its last sign of life; with ldlm.WithReleaseOnDisconnect also at once.
func (m member) modern(ctx context.Context) error {
	c, err := ldlm.Dial(address(), ldlm.WithTTL(8*time.Second), ldlm.WithHooks(ldlm.Hooks{
		OnWait: func(ldlm.Wait) { fmt.Println("backup") },
	}))
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Do(ctx, lockName, func(ctx context.Context) error {
		return m.serve(ctx, ldlm.TokenFrom(ctx))
	}, ldlm.Reason("primary"))
}

// classic is a member in the terms of package client. Its locks are free as soon
// as its connection ends, as that of a killed process does.
func (m member) classic(ctx context.Context) error {
	c, err := client.New(ctx, client.Config{Address: address()})
	if err != nil {
		return err
	}
	defer c.Close()
	lock, err := c.TryLock(lockName, nil)
	if err == nil && !lock.Locked {
		fmt.Println("backup")
		lock, err = c.Lock(lockName, nil)
	}
	if err != nil {
		return err
	}
	defer lock.Unlock()
	return m.serve(lock.Context(ctx), lock.Modern().Token())
}

// serve is the work of the primary: it writes until ctx ends, which it also does
// when the lock is lost.
func (m member) serve(ctx context.Context, token uint64) error {
	fmt.Println("primary")
	journal, err := os.OpenFile(m.journal, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer journal.Close()
	for ctx.Err() == nil {
		if _, err := fmt.Fprintln(journal, m.name, token); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
	if why := context.Cause(ctx); errors.Is(why, ldlm.ErrLost) {
		return why
	}
	return nil
}

// address is where the server is.
func address() string { return cmp.Or(os.Getenv("LDLM_ADDRESS"), "127.0.0.1:3144") }
