package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// printUsage writes how a command is called, as cobra does, but with the flags that
// all clients have apart from the command's own.
func printUsage(w io.Writer, c *cobra.Command) {
	section := func(title, text string) {
		if text = strings.TrimRight(text, "\n"); text != "" {
			fmt.Fprintf(w, "\n%s\n%s\n", title, text)
		}
	}
	fmt.Fprintln(w, "Usage:")
	if c.Runnable() && !c.HasAvailableSubCommands() {
		fmt.Fprintf(w, "  %s\n", c.UseLine())
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(w, "  %s COMMAND\n", c.CommandPath())
	}
	if len(c.Aliases) > 0 {
		section("Aliases:", "  "+c.NameAndAliases())
	}
	section("Examples:", c.Example)
	for _, g := range c.Groups() {
		section(g.Title, commandList(c, func(sub *cobra.Command) bool { return sub.GroupID == g.ID && isListed(sub) }))
	}
	section("Commands:", commandList(c, func(sub *cobra.Command) bool { return sub.GroupID == "" && isListed(sub) }))
	section("Topics:", commandList(c, (*cobra.Command).IsAdditionalHelpTopicCommand))
	own, common := splitFlags(c)
	if !c.HasAvailableSubCommands() {
		section("Flags:", own.FlagUsages())
		section("Flags of all that ask a server:", common.FlagUsages())
		return
	}
	fmt.Fprintf(w, "\nMore of one: %s COMMAND --help\n", c.CommandPath())
}

func isListed(c *cobra.Command) bool { return c.IsAvailableCommand() || c.Name() == "help" }

// commandList has a line for each command below c that is wanted.
func commandList(c *cobra.Command, wanted func(*cobra.Command) bool) string {
	var b strings.Builder
	for _, sub := range c.Commands() {
		if wanted(sub) {
			fmt.Fprintf(&b, "  %-*s %s\n", c.NamePadding(), sub.Name(), sub.Short)
		}
	}
	return b.String()
}

// splitFlags parts a command's own flags from those that all clients have.
func splitFlags(c *cobra.Command) (own, common *pflag.FlagSet) {
	own, common = pflag.NewFlagSet("", pflag.ContinueOnError), pflag.NewFlagSet("", pflag.ContinueOnError)
	of := clientFlagNames()
	asks := c.Flags().Lookup("context") != nil
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if asks && slices.Contains(of, f.Name) {
			common.AddFlag(f)
		} else {
			own.AddFlag(f)
		}
	})
	return own, common
}

// clientFlagNames are the names of the flags that all clients have.
func clientFlagNames() []string {
	c := &cobra.Command{}
	addClientFlags(&Process{}, c)
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
}
