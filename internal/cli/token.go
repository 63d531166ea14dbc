package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm/internal/auth"
	"github.com/ldlm-io/ldlm/internal/tokens"
)

func newToken(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "token",
		Short: "Make tokens, by which a server knows its clients",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newTokenCreate(p))
	return c
}

//nolint:gosec // its words are no token
const tokenLong = `Draw a token, and write down what whoever shows it may do.

The token is printed once, on stdout, and is nowhere else: give it to the client,
which shows it by LDLM_TOKEN or --token-file, as a v1 password, or over HTTP after
"Authorization: Bearer". What the server keeps is the line with its hash: it is added
to the tokens file of --file, which is made if it is missing, or else printed on
stderr. The server reads its file again on "ldlm config reload", or SIGHUP.

Roles: a client takes, keeps and gives back locks, and looks at them; read only looks;
an admin may do everything. With --prefix a client or reader is bound to locks whose
names begin so.

To take a token back, remove its line from the file and reload. To replace one, add
the sha256 of a new one to the line, reload, let the clients change, and take the old
one out.`

// tokenFlags are what a token is to be.
type tokenFlags struct {
	account auth.Account
	role    string
	file    string
}

func newTokenCreate(p *Process) *cobra.Command {
	f := &tokenFlags{}
	c := &cobra.Command{
		Use:   "create --name NAME",
		Short: "Draw a token, print it once, and write its line",
		Long:  tokenLong,
		Example: "  ldlm token create --name web --prefix web/ --file /etc/ldlm/tokens\n" +
			"  ldlm token create --name ops --role admin --file /etc/ldlm/tokens > ops.token",
		Args: noArgs,
	}
	flags := c.Flags()
	who := &f.account.Principal
	flags.StringVar(&who.Name, "name", "", "`NAME` of the principal: letters, digits and . _ - @")
	flags.Var(choiceValue(&f.role, auth.Roles()...), "role", "client, read or admin")
	flags.StringArrayVar(&who.Prefixes, "prefix", nil, "`PREFIX` of the names of locks that it may use; may be given several times; default is all names")
	flags.StringVar(&f.file, "file", "", "tokens `FILE` to add the line to")
	flags.IntVar(&who.Limits.Sessions, "max-sessions", 0, "sessions at one time; 0 is no limit of its own")
	flags.IntVar(&who.Limits.Locks, "max-locks", 0, "locks at one time")
	flags.IntVar(&who.Limits.Waiters, "max-waiters", 0, "waiting requests at one time")
	flags.IntVar(&who.Limits.Connections, "max-connections", 0, "connections at one time")
	flags.Int64Var(&who.Limits.Bytes, "max-bytes", 0, "bytes of names of locks, notes, values and descriptions that are kept for it")
	flags.SetNormalizeFunc(hyphens)
	completeWords(c, "role", auth.Roles()...)
	c.RunE = func(c *cobra.Command, _ []string) error { return f.create(p, c) }
	return c
}

// create draws the token. It is printed last, when nothing can go wrong any more that
// would make it worthless.
func (f *tokenFlags) create(p *Process, c *cobra.Command) error {
	token, hash := auth.NewToken()
	f.account.Principal.Role, _ = auth.RoleOf(f.role)
	f.account.Tokens = []auth.TokenHash{hash}
	line := tokens.Line(&f.account)
	err := tokens.Check(&f.account)
	if err == nil {
		err = tokens.CheckLine(line)
	}
	if err != nil {
		return misused(c, fmt.Errorf("%w; see --help", err))
	}
	if f.file != "" {
		if err := tokens.Append(f.file, &f.account); err != nil {
			return &exitError{code: exitFailure, err: fmt.Errorf("ldlm: the token was not created: %w", err)}
		}
		fmt.Fprintf(p.Stderr, "ldlm: %s was added to %s; the server takes it over by: ldlm config reload\n", f.account.Principal.Name, f.file)
	} else {
		fmt.Fprintf(p.Stderr, "ldlm: add this line to the tokens file of the server, and the token below goes to the client:\n%s\n", line)
	}
	_, err = fmt.Fprintln(p.Stdout, token)
	return err
}
