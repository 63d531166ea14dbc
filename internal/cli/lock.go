package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ldlm-io/ldlm/internal/adminsock"
	"github.com/ldlm-io/ldlm/internal/config"
	"github.com/ldlm-io/ldlm/internal/document"
)

// exitLockUsage is the exit code of ldlm-lock where it was misused.
const exitLockUsage = 80

// Help of ldlm-lock and of its commands.
const (
	lockFlags = `
Flags:
  -h, --help             Show this help.
  -s, --socket=STRING    Socket file of the server ($LDLM_IPC_SOCKET_FILE).
`
	lockHelp = `Usage: ldlm-lock <command> [flags]

Shows and ends the grants of the LDLM server on this machine.
` + lockFlags + `
Commands:
  unlock <lock-name> [<key>] [flags]
    Unlock a lock

  list [flags]
    List locks

Run "ldlm-lock <command> --help" for more of a command.
`
	lockListHelp = `Usage: ldlm-lock list [flags]

List locks: one line for each grant.
` + lockFlags
	lockUnlockHelp = `Usage: ldlm-lock unlock <lock-name> [<key>] [flags]

Unlock a lock: end the grant of the key or, without a key, any one.

Arguments:
  <lock-name>    Name of the lock.
  [<key>]        Key of the grant.
` + lockFlags
)

// LdlmLock is the program ldlm-lock: it asks the server on this machine and
// returns the exit code.
func LdlmLock(p Process) int {
	c, err := parseLock(&p)
	if err == nil {
		err = c.run(context.Background(), p.Stdout)
	}
	return p.exit(err, "")
}

// A lockCommand is what ldlm-lock was asked to do.
type lockCommand struct {
	help   string // to show instead; else
	client *adminsock.Client
	list   bool // else unlock
	name   string
	key    *string // nil: any grant
}

// parseLock reads the command line.
func parseLock(p *Process) (*lockCommand, error) {
	flags := pflag.NewFlagSet("ldlm-lock", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	help := flags.BoolP("help", "h", false, "")
	socket := flags.StringP("socket", "s", "", "")
	err := flags.Parse(p.Args)
	if err != nil {
		err = flagError(err, func(err error) error { return misusedLock(lockFlagText(err)) })
	}
	if *help && (err == nil || errors.Is(err, pflag.ErrHelp)) {
		return &lockCommand{help: helpOf(flags.Arg(0))}, nil
	}
	if err != nil {
		return nil, err
	}
	if !flags.Changed("socket") {
		*socket = lockSocket(p.Getenv)
	} else if _, err := os.Stat(*socket); err != nil {
		return nil, misusedLock("--socket: " + err.Error())
	}
	return parseLockArgs(adminsock.NewClient(*socket), flags.Args())
}

// parseLockArgs reads what is left of the command line without its flags.
func parseLockArgs(client *adminsock.Client, args []string) (*lockCommand, error) {
	if len(args) == 0 {
		return nil, misusedLock(`expected one of "unlock", "list"`)
	}
	c, rest := &lockCommand{client: client}, args[1:]
	switch args[0] {
	case "list":
		c.list = true
	case "unlock":
		if len(rest) == 0 {
			return nil, misusedLock(`expected "<lock-name>"`)
		}
		c.name, rest = rest[0], rest[1:]
		if len(rest) > 0 {
			c.key, rest = &rest[0], rest[1:]
		}
	default:
		rest = args
	}
	if len(rest) > 0 {
		return nil, misusedLock("unexpected argument " + rest[0])
	}
	return c, nil
}

// serviceSocket is where a server has its socket that runs as a service: it does
// not share its folder of temporary files.
const serviceSocket = "/run/ldlm/ipc.sock"

// lockSocket is the socket to use without the flag: where it always was, or, if
// there is none, that of a service.
func lockSocket(getenv func(string) string) string {
	if setting := getenv("LDLM_IPC_SOCKET_FILE"); setting != "" {
		return config.SocketFile(setting, getenv)
	}
	usual := config.SocketFile(config.PlatformSpecific, getenv)
	if !exists(usual) && exists(serviceSocket) {
		return serviceSocket
	}
	return usual
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// lockFlagText says what is wrong with a flag, as ldlm-lock always has.
func lockFlagText(err error) string {
	unknown, missing := (*pflag.NotExistError)(nil), (*pflag.ValueRequiredError)(nil)
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		return "unknown flag -" + unknown.GetSpecifiedName()
	case errors.As(err, &unknown):
		return "unknown flag --" + unknown.GetSpecifiedName()
	case errors.As(err, &missing):
		return "--" + missing.GetFlag().Name + ": expected a value"
	default:
		return err.Error()
	}
}

func misusedLock(text string) error {
	return &exitError{code: exitLockUsage, err: errors.New("ldlm-lock: error: " + text)}
}

func helpOf(command string) string {
	switch command {
	case "list":
		return lockListHelp
	case "unlock":
		return lockUnlockHelp
	default:
		return lockHelp
	}
}

// run asks the server and prints what it says.
func (c *lockCommand) run(ctx context.Context, out io.Writer) error {
	switch {
	case c.help != "":
		_, err := io.WriteString(out, c.help)
		return err
	case c.list:
		return c.runList(ctx, out)
	default:
		return c.runUnlock(ctx, out)
	}
}

func (c *lockCommand) runList(ctx context.Context, out io.Writer) error {
	w := bufio.NewWriter(out)
	none := true
	err := c.client.List(ctx, func(g adminsock.Grant) error {
		none = false
		_, err := fmt.Fprintf(w, "{Name: %s, Key: %s, Size: %d}\n", printable(g.Name), g.Key, g.Size)
		return err
	})
	if err == nil && none {
		_, err = fmt.Fprintln(w, "No locks found")
	}
	// What was listed before an error is true; the error says that there may be more.
	return errors.Join(lockError("failed to list locks", err), w.Flush())
}

func (c *lockCommand) runUnlock(ctx context.Context, out io.Writer) error {
	err := c.client.Unlock(ctx, c.name, c.key)
	refused := (*adminsock.RefusedError)(nil)
	switch {
	case err == nil:
		_, err = fmt.Fprintln(out, "Unlocked: true")
		return err
	case c.key == nil && errors.As(err, &refused) && refused.Code == adminsock.NotFound:
		return err
	default:
		return lockError("failed to unlock lock", err)
	}
}

// lockError words an error of the client.
func lockError(failed string, err error) error {
	refused, op := (*adminsock.RefusedError)(nil), (*net.OpError)(nil)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return fmt.Errorf("%s: %w", failed, err)
	case errors.As(err, &op) && op.Op == "dial":
		return fmt.Errorf("IPC error: %w. Is the ldlm server running? "+
			"Do you need to specify the socket file path? See help", err)
	default:
		return fmt.Errorf("IPC error: %w", err)
	}
}

// printable returns a name with its control characters escaped, so that a line
// stays a line, and does nothing to the terminal that it is shown on.
func printable(name string) string {
	if !strings.ContainsFunc(name, document.Hidden) {
		return name
	}
	var b strings.Builder
	for _, r := range name {
		if document.Hidden(r) {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
