package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ldlm-io/ldlm/internal/config"
)

// Ldlm is the program ldlm: it runs the command that the arguments name and
// returns the exit code.
func Ldlm(p Process) int {
	root := &cobra.Command{
		Use:   "ldlm",
		Short: "Named locks for programs on many machines",
		Args:  noArgs,
	}
	version := root.Flags().Bool("version", false, "")
	root.RunE = func(c *cobra.Command, _ []string) error {
		if *version {
			return currentBuild().print(p.Stdout)
		}
		return c.Help()
	}
	addCommands(root, &p)
	allowSwitchesFirst(root)
	root.SetUsageFunc(func(c *cobra.Command) error {
		printUsage(c.OutOrStdout(), c)
		return nil
	})
	return p.run(root)
}

// allowSwitchesFirst lets the switches of all clients stand before a command too, as
// in ldlm -q lock NAME: without being told, the library takes the command for the
// value of what stands before it.
func allowSwitchesFirst(root *cobra.Command) {
	flags := root.Flags()
	flags.BoolP("quiet", "q", false, "")
	flags.BoolP("verbose", "v", false, "")
	flags.Bool("tls", false, "")
	flags.Bool("tls-skip-verify", false, "")
	flags.SetNormalizeFunc(hyphens)
	flags.VisitAll(func(f *pflag.Flag) { f.Hidden = true })
}

// addCommands adds the commands, in groups, and the topics of help.
func addCommands(root *cobra.Command, p *Process) {
	for _, g := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"locks", "Take and give back:", []*cobra.Command{
			newLock(p), newElect(p), newUnlock(p), newRenew(p), newResize(p),
		}},
		{"looks", "Look:", []*cobra.Command{
			newLs(p), newGet(p), newWatch(p), newSessions(p), newStatus(p), newPing(p), newWaitReady(p),
		}},
		{"servers", "Servers:", []*cobra.Command{
			newServer(p), newDev(p), newConfig(p), newCluster(p), newToken(p), newSnapshot(p), newDump(p), newDoctor(p), newBench(p),
		}},
		{"program", "This program:", []*cobra.Command{
			newContext(p), newMan(p), newVersion(p), newHelp(),
		}},
	} {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, c := range g.commands {
			c.GroupID = g.id
			root.AddCommand(c)
			if c.Name() == "help" {
				root.SetHelpCommand(c)
			}
		}
	}
	root.AddCommand(newGuard())
	root.SetCompletionCommandGroupID("program")
	addTopics(root)
	refuseUnknownShells(root, p)
}

// refuseUnknownShells has ldlm completion refuse what it knows no script for, as every
// command with others below it does.
func refuseUnknownShells(root *cobra.Command, p *Process) {
	root.SetOut(p.Stdout) // before: the scripts go where this goes by then
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			c.Args = noArgs
			c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
		}
	}
}

// run executes a tree of commands and returns the exit code.
func (p *Process) run(root *cobra.Command) int {
	out := &heedingWriter{w: p.Stdout}
	root.SetArgs(append([]string{}, p.Args...)) // not nil, which would mean those of the process
	root.SetOut(out)
	root.SetErr(p.Stderr)
	root.SilenceErrors, root.SilenceUsage = true, true
	if root.HasSubCommands() {
		root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
			return flagError(err, func(err error) error { return misused(c, suggestFlag(c, err)) })
		})
	}
	err := root.Execute()
	if err == nil {
		err = writeError(out.err)
	}
	return p.exit(err, root.Name()+": ")
}

// A heedingWriter keeps the first error of writing: who writes help does not look.
type heedingWriter struct {
	w   io.Writer
	err error
}

func (h *heedingWriter) Write(b []byte) (int, error) {
	n, err := h.w.Write(b)
	if h.err == nil {
		h.err = err
	}
	return n, err
}

// flagError lets -help be --help: it came here because its letters were taken
// for flags, h among them. Everything else is refused as the command refuses.
func flagError(err error, refuse func(error) error) error {
	unknown := (*pflag.NotExistError)(nil)
	if errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "elp" {
		return pflag.ErrHelp
	}
	return refuse(err)
}

// suggestFlag adds to an error the flag that was probably meant.
func suggestFlag(c *cobra.Command, err error) error {
	unknown := (*pflag.NotExistError)(nil)
	if !errors.As(err, &unknown) || unknown.GetSpecifiedShortnames() != "" {
		return err
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	if near := config.Nearest(unknown.GetSpecifiedName(), names); near != "" {
		return fmt.Errorf("%w; did you mean --%s?", err, near)
	}
	return err
}

// misused says that a command was called in a way that it cannot be.
func misused(c *cobra.Command, err error) error {
	return &exitError{
		code: exitUsage,
		err:  fmt.Errorf("%s: %w\nSee: %s --help", c.CommandPath(), err, c.CommandPath()),
	}
}

// noArgs refuses arguments, and commands that there are not.
func noArgs(c *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case c.HasSubCommands():
		err := fmt.Errorf("there is no command %q", args[0])
		if near := config.Nearest(args[0], namesBelow(c)); near != "" {
			err = fmt.Errorf("%w; did you mean %s?", err, near)
		}
		return misused(c, err)
	default:
		return misused(c, fmt.Errorf("takes no arguments, but was given %q", args[0]))
	}
}
