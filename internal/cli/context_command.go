package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/document"
)

func newContext(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "context",
		Short: "Name servers, and choose which one is meant",
		Long: "Names servers: where they are, how to encrypt, and in which file the password is.\n" +
			"They are kept in $XDG_CONFIG_HOME/ldlm/contexts.yaml, or ~/.config/ldlm.\n\n" +
			"The current context is used where neither a flag nor a variable gives an address\n" +
			"or a context.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newContextLs(p), newContextAdd(p), newContextUse(p), newContextRm(p))
	return c
}

// A contextEntry is a context as ls shows it.
type contextEntry struct {
	Name    string `json:"name"`
	Current bool   `json:"current"`
	connection
}

func newContextLs(p *Process) *cobra.Command {
	c := &cobra.Command{Use: "ls", Aliases: []string{"list"}, Short: "List contexts", Args: noArgs}
	o := addLocalOutputFlags(p, c)
	c.RunE = func(*cobra.Command, []string) error {
		all, err := readContexts(contextsFile(p.Getenv))
		if err != nil {
			return err
		}
		return o.printer(false).print(contextsView(all))
	}
	return c
}

func contextsView(all *contexts) view {
	entries := []contextEntry{}
	for _, name := range all.names() {
		entries = append(entries, contextEntry{name, name == all.Current, all.Contexts[name]})
	}
	return view{
		doc: struct {
			Contexts []contextEntry `json:"contexts"`
		}{entries},
		names: all.names(),
		lines: func(wide, color bool) []string {
			t := &table{}
			heads := []string{"CURRENT", "NAME", "ADDRESS", "ENCRYPTED", "PASSWORD FILE"}
			if wide {
				heads = append(heads, "AUTHORITIES", "CERTIFICATE")
			}
			t.addTexts(heading, heads...)
			for _, e := range entries {
				t.add(e.row(wide)...)
			}
			return t.lines(color)
		},
	}
}

func (e contextEntry) row(wide bool) []cell {
	current, encrypted := cell{}, "no"
	if e.Current {
		current = cell{"*", good}
	}
	if e.encrypts() {
		encrypted = "yes"
	}
	row := []cell{current, {e.Name, plain}, {e.Address, plain}, {encrypted, plain}, {either(e.PasswordFile, either(e.TokenFile, "-")), plain}}
	if !wide {
		return row
	}
	return append(row, cell{either(e.TLSCA, "-"), plain}, cell{either(e.TLSCert, "-"), plain})
}

func newContextAdd(p *Process) *cobra.Command {
	var with connection
	var use, replace bool
	c := &cobra.Command{
		Use:     "add NAME --address HOST:PORT",
		Short:   "Name a server",
		Example: "  ldlm context add prod --address ldlm-1:3144,ldlm-2:3144 --tls-ca ca.pem --password-file ~/.ldlm-prod --use",
		Args:    arguments(1, "NAME"),
	}
	with.addFlags(c.Flags())
	c.Flags().BoolVar(&use, "use", false, "make it the current one")
	c.Flags().BoolVar(&replace, "replace", false, "replace one of that name")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := with.check(args[0]); err != nil {
			return misused(c, err)
		}
		return changeContexts(p, func(all *contexts) error {
			if _, ok := all.Contexts[args[0]]; ok && !replace {
				return fmt.Errorf("there is a context %s already; --replace replaces it", quoteName(args[0]))
			}
			all.Contexts[args[0]] = with
			if use {
				all.Current = args[0]
			}
			return nil
		})
	}
	return c
}

// check refuses what could not be used, and makes names of files good in every
// folder.
func (c *connection) check(name string) error {
	if c.Address == "" {
		return errors.New("--address is missing: where the server is")
	}
	if strings.ContainsFunc(name, document.Hidden) {
		return errors.New("NAME has control characters")
	}
	for _, file := range []*string{&c.TLSCA, &c.TLSCert, &c.TLSKey, &c.PasswordFile, &c.TokenFile} {
		if *file == "" {
			continue
		}
		absolute, err := filepath.Abs(*file)
		if err != nil {
			return err
		}
		*file = absolute
	}
	if _, err := c.tlsConfig(); err != nil {
		return err
	}
	client, err := ldlm.Dial(c.Address) // does not connect
	if err != nil {
		return errors.New(withoutPackage(err))
	}
	return client.Close()
}

func newContextUse(p *Process) *cobra.Command {
	var none bool
	c := &cobra.Command{
		Use:   "use NAME",
		Short: "Choose the current context",
		Args:  arguments(0, "NAME"),
	}
	c.Flags().BoolVar(&none, "none", false, "have no current context")
	c.RunE = func(c *cobra.Command, args []string) error {
		if none == (argument(args, 0) != "") {
			return misused(c, errors.New("want NAME, or --none"))
		}
		return changeContexts(p, func(all *contexts) (err error) {
			if all.Current = argument(args, 0); !none {
				_, err = all.find(all.Current)
			}
			return err
		})
	}
	completeContexts(p, c, "")
	return c
}

func newContextRm(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:     "rm NAME",
		Aliases: []string{"remove"},
		Short:   "Forget a context",
		Args:    arguments(1, "NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			return changeContexts(p, func(all *contexts) error {
				if _, err := all.find(args[0]); err != nil {
					return err
				}
				delete(all.Contexts, args[0])
				if all.Current == args[0] {
					all.Current = ""
				}
				return nil
			})
		},
	}
	completeContexts(p, c, "")
	return c
}

// changeContexts reads the file, changes what it says, and writes it. Others who
// do so wait meanwhile.
func changeContexts(p *Process, change func(all *contexts) error) error {
	path := contextsFile(p.Getenv)
	if path != "" {
		if err := makeContextsFolder(path); err != nil {
			return err
		}
		defer lockFolder(filepath.Dir(path))()
	}
	all, err := readContexts(path)
	if err != nil {
		return err
	}
	if err := change(all); err != nil {
		return err
	}
	return all.write(path)
}

// completeContexts completes a flag, or without one the argument, by the names of
// contexts.
func completeContexts(p *Process, c *cobra.Command, flag string) {
	complete := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		all, err := readContexts(contextsFile(p.Getenv))
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return all.names(), cobra.ShellCompDirectiveNoFileComp
	}
	if flag == "" {
		c.ValidArgsFunction = complete
	} else if err := c.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // there is no such flag
	}
}
