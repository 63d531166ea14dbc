package cli

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm"
)

// defaultTTL is the ttl of sessions that hold for a command: that of servers.
const defaultTTL = 10 * time.Second

// What happens to the child when a lock is about to be lost.
const (
	onLostKill = "kill" // SIGTERM, and SIGKILL before anybody else can have the lock
	onLostTerm = "term" // SIGTERM
	onLostWarn = "warn" // nothing
)

// holdingOptions are the flags of the commands that hold a lock for as long as
// something runs.
type holdingOptions struct {
	name    string // of the program, where there is no command
	names   []string
	command []string // empty: none

	shell           string // of -c
	ttl             time.Duration
	killAfter       time.Duration
	maxHold         time.Duration
	onLost          string
	whilePID        int
	reason          string
	labels          map[string]string
	lockDelay       time.Duration
	closeOnEnd      bool
	passCredentials bool
	output          string

	try          bool
	wait         time.Duration
	waits        bool   // --wait was given
	tooSmall     string // a flag that was given a number below 1
	conflictCode int

	// Of lock alone:
	shared, exclusive bool
	size, permits     int
	all               bool

	// Of elect alone:
	takesOne bool // and there is no --all
	value    string
	again    bool
	observe  bool
}

// add gives a command the flags that both commands have.
func (o *holdingOptions) add(c *cobra.Command) {
	f := c.Flags()
	f.BoolVarP(&o.try, "nonblock", "n", false, "do not wait")
	f.VarP(durationValue(&o.wait), "wait", "w", "wait at most so long (default: as long as it takes)")
	f.IntVarP(&o.conflictCode, "conflict-exit-code", "E", exitNotAcquired, "exit code when it is held by others")
	f.StringVarP(&o.shell, "command", "c", "", "run `STRING` with $SHELL -c, instead of words after --")
	f.StringVar(&o.reason, "reason", "", "`TEXT` that others see beside the lock")
	f.Var((*labelsValue)(&o.labels), "label", "`KEY=VALUE` that others see beside the lock; may be repeated")
	o.ttl, o.onLost = defaultTTL, onLostKill
	f.Var(durationValue(&o.ttl), "ttl", "how long the lock outlives this process, and the last word from it that reached the server")
	f.Var(durationValue(&o.killAfter), "kill-after", "time between SIGTERM and SIGKILL, at most a third of what the ttl is good for (default: that)")
	f.StringVar(&o.onLost, "on-lost", o.onLost, "what happens to the command when the lock is about to be lost: kill, term (only SIGTERM), or warn (nothing)")
	f.Var(durationValue(&o.maxHold), "max-hold", "stop and release after so long (default: never)")
	f.Var(durationValue(&o.lockDelay), "lock-delay", "keep the lock shut for so long if it ends by itself")
	f.BoolVar(&o.closeOnEnd, "release-on-disconnect", false, "release at once when the connection ends, not after the ttl; not through proxies")
	f.IntVar(&o.whilePID, "while-pid", 0, "without a command: hold until the process `PID` ends")
	f.BoolVar(&o.passCredentials, "pass-credentials", false, "leave LDLM_PASSWORD and LDLM_TOKEN in the command's environment")
	f.StringVarP(&o.output, "output", "o", "text", "without a command: text or json")
	completeWords(c, "on-lost", onLostKill, onLostTerm, onLostWarn)
	completeWords(c, "output", "text", "json")
}

// labelsValue is a flag that adds a label each time that it is given.
type labelsValue map[string]string

func (l *labelsValue) String() string { return "" }
func (l *labelsValue) Type() string   { return "label" }

func (l *labelsValue) Set(s string) error {
	name, value, found := strings.Cut(s, "=")
	if !found || name == "" {
		return fmt.Errorf("%q is no label; want KEY=VALUE", s)
	}
	if *l == nil {
		*l = labelsValue{}
	}
	(*l)[name] = value
	return nil
}

// split tells names from command: what stands before -- and after it.
func (o *holdingOptions) split(c *cobra.Command, args []string) {
	o.names = args
	if n := c.ArgsLenAtDash(); n >= 0 {
		o.names, o.command = args[:n], args[n:]
	}
	o.waits = c.Flags().Changed("wait")
	for _, flag := range []string{"size", "permits", "while-pid"} {
		if n, err := c.Flags().GetInt(flag); err == nil && n < 1 && c.Flags().Changed(flag) {
			o.tooSmall = flag
		}
	}
}

// check refuses what cannot be meant.
func (o *holdingOptions) check(dashed bool) error {
	switch {
	case len(o.names) == 0:
		return errors.New("which lock? Give its NAME")
	case len(o.names) > 1 && !o.all && o.takesOne:
		return fmt.Errorf("one NAME, not %d: a command to run comes after --", len(o.names))
	case len(o.names) > 1 && !o.all:
		return fmt.Errorf("one NAME, not %d: a command to run comes after --, and several locks at once need --all", len(o.names))
	case o.twice() != "":
		return fmt.Errorf("%s is named twice; once is enough", quoteName(o.twice()))
	case o.tooSmall != "":
		return fmt.Errorf("--%s is 1 at least", o.tooSmall)
	case slices.Contains(o.names, ""):
		return errors.New("NAME is empty")
	case o.ttl <= 0:
		return errors.New("--ttl 0 holds nothing; servers take 2s and more, unless they are told otherwise")
	case dashed && len(o.command) == 0:
		return errors.New("there is no command after --")
	case o.shell != "" && len(o.command) > 0:
		return errors.New("-c and a command after -- exclude each other")
	case o.whilePID != 0 && o.runs():
		return errors.New("--while-pid is for holding without a command")
	case o.try && o.waits:
		return errors.New("-n does not wait, and -w does")
	case o.shared && o.exclusive:
		return errors.New("-s and -x exclude each other")
	case o.shared && o.size > 1:
		return fmt.Errorf("-s shares a lock of size 1, which any number can, and --size %d has so many permits", o.size)
	case o.size > 0 && o.permits > o.size:
		return fmt.Errorf("--permits %d are more than the lock has: --size says %d", o.permits, o.size)
	case o.conflictCode < 0 || o.conflictCode > 255:
		return fmt.Errorf("-E %d is no exit code", o.conflictCode)
	case o.observe && (o.runs() || o.again || o.whilePID != 0):
		return errors.New("--observe looks on: it neither runs a command nor leads")
	case o.onLost != onLostKill && o.onLost != onLostTerm && o.onLost != onLostWarn:
		return fmt.Errorf("--on-lost is kill, term or warn, not %q", o.onLost)
	case o.output != "text" && o.output != "json":
		return fmt.Errorf("-o is text or json here, not %q", o.output)
	case o.killAfter > o.bounds().budget():
		return fmt.Errorf("--kill-after %s is more than a third of what a ttl of %s is good for: at most %s",
			shortDuration(o.killAfter), shortDuration(o.ttl), o.bounds().budget().Truncate(10*time.Millisecond))
	}
	return nil
}

// twice is a name that is there more than once, "" if there is none.
func (o *holdingOptions) twice() string {
	sorted := slices.Sorted(slices.Values(o.names))
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			return sorted[i]
		}
	}
	return ""
}

// runs reports whether there is a command to run.
func (o *holdingOptions) runs() bool { return o.shell != "" || len(o.command) > 0 }

// argv returns the command to run, with the shell that -c asks for.
func (o *holdingOptions) argv(p *Process) []string {
	if o.shell == "" {
		return o.command
	}
	if shell := p.Getenv("SHELL"); shell != "" {
		return []string{shell, "-c", o.shell}
	}
	return []string{"/bin/sh", "-c", o.shell}
}

// dialOptions say who holds.
func (o *holdingOptions) dialOptions() []ldlm.DialOption {
	all := []ldlm.DialOption{ldlm.WithTTL(o.ttl), ldlm.WithClientInfo(o.client())}
	if o.closeOnEnd {
		all = append(all, ldlm.WithReleaseOnDisconnect())
	}
	return all
}

// maxCommandBytes bounds what others are shown of a command line.
const maxCommandBytes = 256

// client is what others see of who holds: the command line is its program.
func (o *holdingOptions) client() ldlm.ClientInfo {
	host, _ := os.Hostname() // without it the field stays empty
	info := ldlm.ClientInfo{Host: host, PID: os.Getpid(), User: userName(), Program: o.name, Library: "ldlm " + currentBuild().version}
	switch {
	case o.shell != "":
		info.Program = o.shell
	case len(o.command) > 0:
		info.Program = strings.Join(o.command, " ")
	}
	if len(info.Program) > maxCommandBytes {
		info.Program = info.Program[:maxCommandBytes] + "…"
	}
	for _, text := range []*string{&info.Host, &info.User, &info.Program} {
		if !utf8.ValidString(*text) {
			*text = strings.ToValidUTF8(*text, "?")
		}
	}
	return info
}

// userName is the account as shells, cron and Windows call it.
func userName() string {
	for _, variable := range []string{"USER", "LOGNAME", "USERNAME"} {
		if name := os.Getenv(variable); name != "" {
			return name
		}
	}
	// As in a container, or under a service manager.
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

// lockOptions say what is asked for.
func (o *holdingOptions) lockOptions() []ldlm.LockOption {
	all := []ldlm.LockOption{ldlm.Reason(o.reason), ldlm.Labels(o.labels), ldlm.LockDelay(o.lockDelay), ldlm.Size(o.size), ldlm.Permits(o.permits)}
	if o.shared {
		all = append(all, ldlm.Shared())
	}
	if o.value != "" {
		all = append(all, ldlm.Value([]byte(o.value)))
	}
	if o.waits {
		all = append(all, ldlm.WaitAtMost(o.wait))
	}
	if o.try {
		all = append(all, ldlm.WaitAtMost(0))
	}
	return all
}

// bounds are the moments at which something happens to a hold that nobody
// confirms, as what is left of it then.
type bounds struct {
	good time.Duration // what a confirmation is good for
	warn time.Duration
	term time.Duration // SIGTERM
	kill time.Duration // SIGKILL
	look time.Duration // how often to look
}

// bounds: a client may count 1/1.12 of its ttl.
func (o *holdingOptions) bounds() bounds {
	good := o.ttl / 112 * 100
	b := bounds{good: good, kill: min(good/10, time.Second), warn: good / 2, look: min(good/20, time.Second)}
	b.term = b.kill + b.budget()
	if o.killAfter > 0 {
		b.term = b.kill + o.killAfter
	}
	return b
}

// budget is how long a child may take at most between SIGTERM and SIGKILL.
func (b bounds) budget() time.Duration { return b.good / 3 }

// killAfter is how long a child has.
func (b bounds) killAfter() time.Duration { return b.term - b.kill }
