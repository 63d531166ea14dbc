// Command leader elects one of three processes. The leader is killed, the next
// one is asked to step down, and at no moment do two lead.
//
// This file is what a program needs of it; proof.go starts, kills and watches.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ldlm-io/ldlm"
)

// electionName is what all candidates agree on.
const electionName = "example/leader"

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "leader:", err)
		os.Exit(1)
	}
}

// candidate campaigns until ctx ends, and leads as often as it is elected.
func candidate(ctx context.Context, name, journal string) error {
	c, err := ldlm.Dial(address(), ldlm.WithTTL(8*time.Second))
	if err != nil {
		return err
	}
	defer c.Close()
	// The value is for the others: where to find the leader, for instance.
	election := c.Election(electionName, ldlm.Value([]byte(name)))
	for term := range election.Lead(ctx) {
		if err := lead(term.Context(), name, term.Token(), journal); err != nil {
			return err
		}
	}
	if err := election.Err(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// lead is the work of a leader, until its term is over.
func lead(ctx context.Context, name string, token uint64, file string) error {
	journal, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer journal.Close()
	for ctx.Err() == nil {
		if _, err := fmt.Fprintln(journal, name, token); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// follow calls see with the name of each leader, as they come, until ctx ends or
// see has seen enough.
func follow(ctx context.Context, see func(leader string) (more bool, err error)) error {
	c, err := ldlm.Dial(address())
	if err != nil {
		return err
	}
	defer c.Close()
	for leader, err := range c.Election(electionName).Observe(ctx) {
		if err != nil {
			return err
		}
		if leader.Token == 0 {
			continue // nobody leads at the moment
		}
		if more, err := see(string(leader.Value)); err != nil || !more {
			return err
		}
	}
	return ctx.Err()
}

// address is where the server is.
func address() string { return cmp.Or(os.Getenv("LDLM_ADDRESS"), "127.0.0.1:3144") }
