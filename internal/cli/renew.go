package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm"
)

func newRenew(p *Process) *cobra.Command {
	var lease time.Duration
	c := &cobra.Command{
		Use:   "renew NAME KEY --lease DURATION",
		Short: "Start the lease of a hold anew",
		Long: "Starts the lease of the hold that was granted with KEY anew: from now on the hold\n" +
			"lasts for --lease. A hold that lasts as long as its session has no lease.",
		Example: "  ldlm renew invoice/77 6b0ad1b4-3b5c-4a92-8a3c-1f7c5e0f6d21 --lease 60s",
		Args:    arguments(2, "NAME", "KEY"),
	}
	f := addClientFlags(p, c)
	c.Flags().Var(durationValue(&lease), "lease", "how long the hold lasts from now on")
	c.RunE = func(c *cobra.Command, args []string) error {
		if lease <= 0 {
			return misused(c, errors.New("--lease is missing: how long the hold lasts from now on, such as 60s"))
		}
		return f.ask(c.Context(), func(ctx context.Context, client *ldlm.Client) error {
			err := client.RenewKey(ctx, args[0], args[1], lease)
			if err == nil {
				f.note("%s: the lease ends in %s", quoteName(args[0]), shortDuration(lease))
			}
			return err
		})
	}
	completeLocks(f, c)
	return c
}

func newResize(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "resize NAME N",
		Short: "Change how many permits a lock has",
		Long: "Changes the size of a lock. Holds stay, even if there are more of them then;\n" +
			"requests that want more permits than there are end.",
		Example: "  ldlm resize es-slots 20",
		Args:    arguments(2, "NAME", "N"),
	}
	f := addClientFlags(p, c)
	c.RunE = func(c *cobra.Command, args []string) error {
		n, err := strconv.Atoi(args[1])
		if err != nil || n < 1 {
			return misused(c, fmt.Errorf("the size is %q; want a number of at least 1", args[1]))
		}
		return f.ask(c.Context(), func(ctx context.Context, client *ldlm.Client) error {
			err := client.Admin().Resize(ctx, args[0], n)
			if err == nil {
				f.note("%s has size %d", quoteName(args[0]), n)
			}
			return err
		})
	}
	completeLocks(f, c)
	return c
}
