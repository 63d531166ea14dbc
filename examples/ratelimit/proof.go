package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"time"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/client"
	"github.com/ldlm-io/ldlm/examples/internal/stage"
)

// rounds is how often the whole of what is allowed is used up.
const rounds = 3

// run is the proof or, with arguments, one of its processes.
func run(ctx context.Context, args []string) error {
	if len(args) == 4 {
		return process(stage.UntilEOF(ctx), args[0], args[1], args[2], args[3])
	}
	// Each run has locks of its own, since permits of the last one may be out.
	name := "example/ratelimit/" + strconv.Itoa(os.Getpid())
	both := make(chan error, 2)
	go func() { both <- proveCalls(ctx, name+"/calls") }()
	go func() { both <- proveHandler(ctx, name+"/handler") }()
	for range cap(both) {
		if err := <-both; err != nil {
			return err
		}
	}
	return nil
}

// process makes calls to, or serves, an address. It lives until it is told to
// end: with it would end its session, and with that its permits before their time.
func process(ctx context.Context, pkg, what, name, url string) error {
	l, closer, err := newLimiter(ctx, pkg, name)
	if err != nil {
		return err
	}
	defer closer.Close()
	if what == "serve" {
		hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })
		server := httptest.NewServer(limited(l, hello))
		defer server.Close()
		fmt.Println(server.URL)
		<-ctx.Done()
		return nil
	}
	c := http.Client{Transport: limitedTransport{l, http.DefaultTransport}}
	for range rounds {
		if _, err := get(ctx, &c, url); err != nil {
			return err
		}
	}
	fmt.Println("done")
	<-ctx.Done()
	return nil
}

func newLimiter(ctx context.Context, pkg, name string) (limiter, client.Closer, error) {
	address := cmp.Or(os.Getenv("LDLM_ADDRESS"), "127.0.0.1:3144")
	if pkg == "client" {
		c, err := client.New(ctx, client.Config{Address: address, NoAutoRefresh: true})
		return classic{c, name}, c, err
	}
	c, err := ldlm.Dial(address)
	return modern{c, name}, c, err
}

// get makes a call and returns its status.
func get(ctx context.Context, c *http.Client, url string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	answer, err := c.Do(r)
	if err != nil {
		return 0, err
	}
	return answer.StatusCode, answer.Body.Close()
}

// proveCalls has two processes call a server here as quickly as they may.
func proveCalls(ctx context.Context, name string) error {
	arrived := make(chan struct{}, calls*rounds)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived <- struct{}{} }))
	defer server.Close()
	began := time.Now()
	for _, pkg := range []string{"ldlm", "client"} {
		p, err := stage.Start(ctx, pkg, pkg, "call", name, server.URL)
		if err != nil {
			return err
		}
		defer p.Kill()
	}
	for range calls * rounds {
		select {
		case <-arrived:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return check("outgoing", calls*rounds, time.Since(began))
}

// proveHandler asks two servers in turn, quicker than they may answer.
func proveHandler(ctx context.Context, name string) error {
	var urls []string
	for _, pkg := range []string{"ldlm", "client"} {
		p, err := stage.Start(ctx, pkg, pkg, "serve", name, "-")
		if err != nil {
			return err
		}
		defer p.Kill()
		url, err := p.Read()
		if err != nil {
			return err
		}
		urls = append(urls, url)
	}
	began := time.Now()
	served, refused := 0, 0
	for i := 0; served < calls*rounds; i++ {
		status, err := get(ctx, http.DefaultClient, urls[i%len(urls)])
		switch {
		case err != nil:
			return err
		case status == http.StatusOK:
			served++
		case status == http.StatusTooManyRequests:
			refused++
		default:
			return fmt.Errorf("a handler answered %d", status)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if refused == 0 {
		return fmt.Errorf("no request was refused")
	}
	fmt.Printf("handlers: %d requests answered 429\n", refused)
	return check("handlers", served, time.Since(began))
}

// check fails if more calls were let through than the rate allows in that time.
// The clock began before the first permit was given, so nothing is left to chance.
func check(what string, n int, took time.Duration) error {
	allowed := calls * (1 + took.Seconds()/seconds)
	fmt.Printf("%s: %d calls of two processes in %v; the limit is %d in %d s\n", what, n, took.Round(time.Millisecond), calls, seconds)
	if float64(n) > allowed {
		return fmt.Errorf("%s: %d calls in %v, more than %.1f", what, n, took, allowed)
	}
	return nil
}
