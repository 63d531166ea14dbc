package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

//go:generate sh -c "go run ../../cmd/ldlm man --markdown >../../docs/cli.md.new && mv ../../docs/cli.md.new ../../docs/cli.md"

// reference is what all commands say of themselves, as a page of Markdown.
func reference(root *cobra.Command) string {
	r := &referencePage{}
	r.line("# The commands")
	r.line("")
	r.line("What `ldlm help` says, on one page. It is generated from the commands: `make cli-reference`.")
	for _, g := range root.Groups() {
		r.line("\n%s\n", strings.TrimSuffix(g.Title, ":"))
		for _, c := range root.Commands() {
			if c.GroupID == g.ID && c.IsAvailableCommand() {
				r.line("- [%s](#%s): %s", c.CommandPath(), anchor(c.CommandPath()), c.Short)
			}
		}
	}
	for _, g := range root.Groups() {
		for _, c := range root.Commands() {
			if c.GroupID == g.ID {
				r.command(c)
			}
		}
	}
	r.line("\n## Flags of all clients\n")
	r.line("Commands that ask a server have these flags too.")
	r.block(r.common.FlagUsages())
	for _, c := range root.Commands() {
		if c.IsAdditionalHelpTopicCommand() {
			r.line("\n## ldlm help %s\n", c.Name())
			r.line("%s.", c.Short)
			r.block(c.Long)
		}
	}
	return r.text.String()
}

// A referencePage is a page as it grows.
type referencePage struct {
	text strings.Builder
	// common are the flags that all clients have.
	common *pflag.FlagSet
}

func (r *referencePage) line(format string, args ...any) { fmt.Fprintf(&r.text, format+"\n", args...) }

// block adds text that stays as it is.
func (r *referencePage) block(text string) { r.line("\n```\n%s\n```", strings.Trim(text, "\n")) }

// command adds a command and those below it.
func (r *referencePage) command(c *cobra.Command) {
	if !c.IsAvailableCommand() {
		return
	}
	r.line("\n## %s\n", c.CommandPath())
	r.line("%s.", c.Short)
	if c.Long != "" && c.Long != c.Short {
		r.block(c.Long)
	}
	r.block(c.UseLine())
	if len(c.Aliases) > 0 {
		r.line("\nAlso: `%s`.", strings.Join(c.Aliases, "`, `"))
	}
	if c.Example != "" {
		r.line("\nExamples:")
		r.block(c.Example)
	}
	r.flags(c)
	for _, sub := range c.Commands() {
		r.command(sub)
	}
}

// flags adds a command's own flags, and says if it has those of all clients.
func (r *referencePage) flags(c *cobra.Command) {
	own, common := splitFlags(c)
	own.VisitAll(func(f *pflag.Flag) { f.Hidden = f.Hidden || f.Name == "help" })
	if usage := own.FlagUsages(); usage != "" {
		r.line("\nFlags:")
		r.block(usage)
	}
	if common.HasFlags() {
		r.common = common
		r.line("\nAnd the [flags of all clients](#flags-of-all-clients).")
	}
}

// anchor is where a heading is found in a page.
func anchor(heading string) string { return strings.ReplaceAll(strings.ToLower(heading), " ", "-") }
