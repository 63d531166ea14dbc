// Command semaphore has six processes use something that bears three at once.
//
// This file is what a program needs of it, with package ldlm and with package
// client; proof.go starts the processes and counts.
package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/client"
)

// The lock, and how many may hold it at once. All who use it must name the same
// size: another one is refused.
const (
	lockName = "example/semaphore"
	atOnce   = 3
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "semaphore:", err)
		os.Exit(1)
	}
}

// A user uses the thing several times. What use does not more than three may do at
// once.
type user struct {
	times int
	use   func(ctx context.Context) error
}

// modern is a user in the terms of package ldlm.
func (u user) modern(ctx context.Context) error {
	c, err := ldlm.Dial(address())
	if err != nil {
		return err
	}
	defer c.Close()
	for range u.times {
		if err := c.Do(ctx, lockName, u.use, ldlm.Size(atOnce)); err != nil {
			return err
		}
	}
	return nil
}

// classic is a user in the terms of package client.
func (u user) classic(ctx context.Context) error {
	c, err := client.New(ctx, client.Config{Address: address()})
	if err != nil {
		return err
	}
	defer c.Close()
	for range u.times {
		lock, err := c.Lock(lockName, &client.LockOptions{Size: atOnce})
		if err != nil {
			return err
		}
		if err := u.use(lock.Context(ctx)); err != nil {
			return err
		}
		if _, err := lock.Unlock(); err != nil {
			return err
		}
	}
	return nil
}

// address is where the server is.
func address() string { return cmp.Or(os.Getenv("LDLM_ADDRESS"), "127.0.0.1:3144") }
