package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/document"
)

func newPing(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "ping",
		Short: "Ask whether a server answers, and how fast",
		Long:  "Exits with 0 if a server answers and with 69 if none does.",
		Args:  noArgs,
	}
	o := addOutputFlags(p, c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return o.show(c.Context(), func(ctx context.Context, c *ldlm.Client) (view, error) {
			return o.ping(ctx, c)
		})
	}
	return c
}

// ping asks twice: first the connection must be made.
func (o *outputFlags) ping(ctx context.Context, c *ldlm.Client) (view, error) {
	var took [2]time.Duration
	for i := range took {
		begin := time.Now()
		if _, err := c.Admin().Status(ctx); err != nil {
			return view{}, err
		}
		took[i] = time.Since(begin)
	}
	return pongView(pongDocument(o.connection.Address, took[0], took[1])), nil
}

func pongDocument(address string, connect, roundTrip time.Duration) document.Pong {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	connect, roundTrip = connect.Truncate(time.Microsecond), roundTrip.Truncate(time.Microsecond)
	return document.Pong{
		Address: address, RoundTrip: roundTrip.String(), RoundTripMS: ms(roundTrip), Connect: connect.String(), ConnectMS: ms(connect),
	}
}

func pongView(d document.Pong) view {
	return view{
		doc: d, names: []string{d.Address},
		lines: func(wide, _ bool) []string {
			text := d.Address + " answers in " + d.RoundTrip
			if wide {
				text += ", the first time in " + d.Connect
			}
			return []string{printable(text)}
		},
	}
}

func newWaitReady(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "wait-ready",
		Short: "Wait until a server serves",
		Long: "Exits with 0 once a server answers and somebody leads, and with 69 if that is not so\n" +
			"within --timeout: for scripts and containers that start together with the server.",
		Example: "  ldlm wait-ready --timeout 30s && ./worker",
		Args:    noArgs,
	}
	f := addClientFlags(p, c)
	c.RunE = func(c *cobra.Command, _ []string) error { return f.ask(c.Context(), f.awaitServer) }
	return c
}

// awaitServer asks until a server answers that can serve, or the context ends.
func (f *clientFlags) awaitServer(ctx context.Context, c *ldlm.Client) error {
	const every = 100 * time.Millisecond
	pause := time.NewTicker(every)
	defer pause.Stop()
	last := ""
	for {
		s, err := c.Admin().Status(ctx)
		switch {
		case err == nil && !s.Draining && (s.Leads || s.Leader != ""):
			f.note("%s answers", f.connection.Address)
			return nil
		case err == nil && s.Draining:
			last = "it is on its way out"
		case err == nil:
			last = "it answers, and knows of nobody who leads"
		case errors.Is(err, ldlm.ErrUnavailable), errors.Is(err, ldlm.ErrUnknownOutcome), ctx.Err() != nil && last == "":
			last = withoutPackage(err)
		case ctx.Err() == nil:
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", context.Cause(ctx), last)
		case <-pause.C:
		}
	}
}
