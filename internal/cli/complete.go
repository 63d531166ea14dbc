package cli

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/document"
)

// completeWithin is how long a shell waits for names: longer, and people believe
// that it hangs.
const completeWithin = 300 * time.Millisecond

// maxCompletions is how many names a shell is given.
const maxCompletions = 500

// completeWords completes a flag by words.
func completeWords(c *cobra.Command, flag string, words ...string) {
	complete := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveNoFileComp
	}
	if err := c.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // there is no such flag
	}
}

// completeLocks completes the first argument of a command, or with --all each, by the
// names of locks that there are now. What comes after -- is for shells to complete.
func completeLocks(f *clientFlags, c *cobra.Command) {
	c.ValidArgsFunction = func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		// What the library says of -- is true of a parse with one of its own.
		if slices.Contains(f.p.Args, "--") {
			return nil, cobra.ShellCompDirectiveDefault
		}
		if all, _ := c.Flags().GetBool("all"); len(args) > 0 && !all {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return f.lockNames(c.Context(), begun), cobra.ShellCompDirectiveNoFileComp
	}
}

// lockNames returns names of locks that begin so, as many as come in time.
func (f *clientFlags) lockNames(ctx context.Context, begun string) []string {
	var names []string
	f.briefly(ctx, func(ctx context.Context, c *ldlm.Client) {
		for l, err := range c.Admin().List(ctx, ldlm.WithPrefix(begun)) {
			if err != nil || len(names) == maxCompletions {
				return
			}
			// A shell cannot be given a name of several lines.
			if !strings.ContainsFunc(l.Name, document.Hidden) {
				names = append(names, l.Name)
			}
		}
	})
	return names
}

// sessionNumbers returns numbers of sessions with their clients.
func (f *clientFlags) sessionNumbers(ctx context.Context) []string {
	var numbers []string
	f.briefly(ctx, func(ctx context.Context, c *ldlm.Client) {
		for s, err := range c.Admin().Sessions(ctx) {
			if err != nil || len(numbers) == maxCompletions {
				return
			}
			who := printable(clientText(clientDocument(s.Client), ""))
			numbers = append(numbers, cobra.CompletionWithDesc(strconv.FormatUint(s.Number, 10), who))
		}
	})
	return numbers
}

// briefly asks for a completion. A shell has no use for errors.
func (f *clientFlags) briefly(ctx context.Context, do func(ctx context.Context, c *ldlm.Client)) {
	client, err := f.dial()
	if err != nil {
		return
	}
	defer func() { _ = client.Close() }() // it holds nothing
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(f.p.CompleteWithin, completeWithin))
	defer cancel()
	do(ctx, client)
}
