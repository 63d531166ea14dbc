package cli

import (
	"github.com/spf13/cobra"
)

const lockLong = `Hold a lock around a command, or until Ctrl-C.

With a command, ldlm takes the lock, runs the command without a shell, and
releases the lock when the command and everything of its process group have
ended. The exit code is the command's own. If no server confirms the lock, the
command gets SIGTERM and then SIGKILL before anybody else can have it, and the
exit code is 76; once asked to end it is stopped, whatever a server says then.
With --on-lost=term it gets SIGTERM alone, and may run on while others have the
lock: the exit code is 76 all the same. With --on-lost=warn nothing happens to it:
ldlm says that the lock is lost, and the exit code is the command's own.

Without one, ldlm prints key and token and holds until it gets SIGINT or SIGTERM,
until standard input ends if that is a pipe, or until --while-pid's process ends.

The command finds in its environment LDLM_LOCK_NAME, LDLM_LOCK_KEY,
LDLM_FENCING_TOKEN and LDLM_ADDRESS. Whoever receives what it writes should
refuse a smaller token than the greatest that it has seen. Others see the command
line, host, process and user beside the lock.

On Linux nothing of the command's process group outlives ldlm, whatever ends or
stops that: a guardian, "ldlm guard", sees to it, if it is not killed as well. What
leaves the group on purpose, as daemons and setsid do, is on its own: neither does
the lock wait for it, nor is it stopped. A job that ^Z stops keeps its lock for the
ttl.`

const lockExample = `  ldlm lock nightly-backup -- ./backup.sh --full
  ldlm lock nightly-backup -w 10m -- ./backup.sh      wait, but not for ever
  ldlm lock -n nightly-backup -- ./backup.sh          now or not at all: exit code 75
  ldlm lock -s catalog -c 'grep x catalog | sort'     shared; through the shell
  ldlm lock --size 10 es-slots -- ./reindex           one of ten
  ldlm lock --all accounts/4 accounts/9 -- ./move     all or nothing
  ldlm lock deploy --while-pid $$ &                   until this script ends`

func newLock(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:     "lock NAME... [flags] [-- COMMAND ARGS...]",
		Short:   "Hold a lock around a command, or until Ctrl-C",
		Long:    lockLong,
		Example: lockExample,
	}
	h := addHolding(p, c)
	f, o := c.Flags(), &h.holdingOptions
	f.BoolVarP(&o.shared, "shared", "s", false, "share it with others who do so too")
	f.BoolVarP(&o.exclusive, "exclusive", "x", false, "have it alone: the default")
	f.IntVar(&o.size, "size", 0, "how many permits the lock has; who takes it first says so (default 1)")
	f.IntVar(&o.permits, "permits", 0, "how many permits to take (default 1)")
	f.BoolVar(&o.all, "all", false, "every word before -- is a name: all or nothing, released as one")
	return c
}
