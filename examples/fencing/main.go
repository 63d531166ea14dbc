//go:build unix

// Command fencing shows what no lock can prevent, and what prevents it. A process
// holds a lock, looks whether it still does, and is stopped (SIGSTOP) before it
// writes. Its lock passes on, the next holder writes, the first one wakes up and
// writes too. A store that compares fencing tokens refuses that; one that does
// not has lost the newer write.
//
// This file is what a program needs of it; proof.go starts, stops and looks.
package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ldlm-io/ldlm"
)

// tokenHeader carries the token of the lock under which something is written.
const tokenHeader = "Fencing-Token"

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "fencing:", err)
		os.Exit(1)
	}
}

// A store keeps one value, the one that was written last.
type store struct {
	compares bool // whether it refuses writes under an older token

	mu    sync.Mutex
	value string
	token uint64 // the greatest it has seen
}

// ServeHTTP writes the value in the body, unless it comes too late.
func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	value, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	token, err := strconv.ParseUint(r.Header.Get(tokenHeader), 10, 64)
	if err != nil {
		http.Error(w, tokenHeader+": "+err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.compares && token < s.token {
		http.Error(w, fmt.Sprintf("token %d is older than %d", token, s.token), http.StatusPreconditionFailed)
		return
	}
	s.value, s.token = string(value), token
}

// read returns the value.
func (s *store) read() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.value
}

// write sends a value to a store, with the token of the lock under which it is
// written, and returns the store's answer.
func write(ctx context.Context, url, value string, token uint64) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, url, strings.NewReader(value))
	if err != nil {
		return 0, err
	}
	r.Header.Set(tokenHeader, strconv.FormatUint(token, 10))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	return answer.StatusCode, answer.Body.Close()
}

// writer takes the lock and writes its name to each store. Between its last look
// at the lock and the writes it waits for a line on stdin: there it is stopped,
// as a collection of garbage or a virtual machine that moves can stop any program.
func writer(ctx context.Context, name string, urls ...string) error {
	c, err := ldlm.Dial(address(), ldlm.WithTTL(8*time.Second))
	if err != nil {
		return err
	}
	defer c.Close()
	lock, err := c.Lock(ctx, "example/fencing", ldlm.Reason("writes as "+name))
	if err != nil {
		return err
	}
	if err := lock.Err(); err != nil {
		return err // lost already: it would be wrong to write
	}
	fmt.Println("holds", lock.Token())
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	for _, url := range urls {
		status, err := write(ctx, url, name, lock.Token())
		if err != nil {
			return err
		}
		fmt.Println("answer", status)
	}
	if err := lock.Release(ctx); errors.Is(err, ldlm.ErrLost) {
		fmt.Println("lost")
		return nil
	}
	fmt.Println("released")
	return nil
}

// address is where the server is.
func address() string { return cmp.Or(os.Getenv("LDLM_ADDRESS"), "127.0.0.1:3144") }
