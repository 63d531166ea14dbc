package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ldlm-io/ldlm/internal/adminsock"
	"github.com/ldlm-io/ldlm/internal/config"
)

func newConfig(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Show, check and write the configuration of a server",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newConfigView(p), newConfigValidate(p), newConfigTemplate(p), newConfigReload(p), newConfigLogLevel(p))
	return c
}

// misconfigured ends a command whose configuration is not good, as a server ends.
func misconfigured(err error) error {
	return &exitError{code: exitFailure, err: fmt.Errorf("error parsing configuration: %w", err)}
}

func newConfigView(p *Process) *cobra.Command {
	var settings config.Server
	c := &cobra.Command{
		Use:   "view [flags of the server]",
		Short: "Show what a server would do with these flags, this environment and this file, and where each value is from",
		Args:  noArgs,
	}
	binding, o := addServerFlags(p, c, &settings)
	c.RunE = func(*cobra.Command, []string) error {
		if err := binding.Load(p.Getenv); err != nil {
			return misconfigured(err)
		}
		return o.printer(false).print(settingsView(binding.Settings()))
	}
	return c
}

// addServerFlags gives a command that looks at a server's settings the flags of those,
// and those for how it shows what it sees.
func addServerFlags(p *Process, c *cobra.Command, settings *config.Server) (*config.Binding, *outputFlags) {
	binding := config.Bind(c.Flags(), settings)
	_ = c.Flags().MarkHidden("version") // there is such a flag
	return binding, addLocalOutputFlags(p, c)
}

// settingsView shows what is in force. Scripts go on with the names of options.
func settingsView(settings []config.Setting) view {
	v := view{doc: settings}
	for _, s := range settings {
		v.names = append(v.names, s.Name)
	}
	v.lines = func(bool, bool) []string {
		return strings.Split(strings.TrimSuffix(config.View(settings), "\n"), "\n")
	}
	return v
}

// newDefaults binds the settings of a server that is told nothing.
func newDefaults() (*config.Binding, *config.Server) {
	var settings config.Server
	return config.Bind(pflag.NewFlagSet("", pflag.ContinueOnError), &settings), &settings
}

func newConfigValidate(p *Process) *cobra.Command {
	return &cobra.Command{
		Use:   "validate FILE",
		Short: "Check a configuration file, and the files that it names, without starting a server",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return misused(c, fmt.Errorf("takes one file, but was given %d", len(args)))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			binding, settings := newDefaults()
			err := binding.LoadFile(args[0])
			if err == nil {
				err = settings.Validate()
			}
			if err == nil {
				_, err = readAccounts(settings)
			}
			if err != nil {
				return misconfigured(err)
			}
			set := 0
			for _, s := range binding.Settings() {
				if s.Origin.Source == config.FromFile && s.Origin.Line > 0 {
					set++
				}
			}
			_, err = fmt.Fprintf(p.Stdout, "%s is good: it sets %d of %d options\n", args[0], set, len(binding.Settings())-1)
			return err
		},
	}
}

func newConfigTemplate(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "template",
		Short: "Write a configuration with all defaults, to begin with",
		Long: "Write a configuration with all defaults, to begin with.\n" +
			"What is in force instead: ldlm server --print_yaml_template, or --print_env_template.",
		Args: noArgs,
	}
	format := c.Flags().String("format", string(config.YAML), "yaml, json, env, or markdown for the reference")
	c.RunE = func(c *cobra.Command, _ []string) error {
		binding, _ := newDefaults()
		text, err := binding.Template(config.Format(*format), p.Args)
		if err != nil {
			return misused(c, err)
		}
		_, err = io.WriteString(p.Stdout, text)
		return err
	}
	return c
}

// addSocket gives a command the flag that says where the server on this machine
// is to be reached.
func addSocket(p *Process, c *cobra.Command) func() *adminsock.Client {
	path := c.Flags().StringP("socket", "s", "", "socket `FILE` of the server on this machine ($LDLM_IPC_SOCKET_FILE)")
	return func() *adminsock.Client {
		if *path == "" {
			return adminsock.NewClient(lockSocket(p.Getenv))
		}
		return adminsock.NewClient(*path)
	}
}

func newConfigReload(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "reload",
		Short: "Have the server on this machine read its configuration again, as SIGHUP does, and hear what is wrong with it",
		Args:  noArgs,
	}
	client := addSocket(p, c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := lockError("the configuration was not read again, nothing has changed", client().Reload(c.Context())); err != nil {
			return err
		}
		_, err := fmt.Fprintln(p.Stderr, "The configuration was read again; the server's log says what waits for the next start.")
		return err
	}
	return c
}

func newConfigLogLevel(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:       "log-level LEVEL",
		Short:     "Have the server on this machine log from another level on, until its configuration is read again",
		ValidArgs: []string{"debug", "info", "warn", "error"},
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(c.ValidArgs, args[0]) {
				return misused(c, fmt.Errorf("takes one of %s", strings.Join(c.ValidArgs, ", ")))
			}
			return nil
		},
	}
	client := addSocket(p, c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return lockError("the level is what it was", client().SetLogLevel(c.Context(), args[0]))
	}
	return c
}
