package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm/internal/config"
	"github.com/ldlm-io/ldlm/internal/document"
	"github.com/ldlm-io/ldlm/internal/supervise"
)

const devLong = `Run a throw-away server for development: memory only, loopback, no password.

With a command after --, the server takes free ports and a socket of its own, the
command finds them in LDLM_ADDRESS, LDLM_REST_ADDRESS and LDLM_IPC_SOCKET_FILE, and
the server ends with it; the exit code is the command's. So programs in any language
have a server in their tests, and many can do so at once.`

const devExample = `  ldlm dev                          a server on 127.0.0.1:3144, until Ctrl-C
  ldlm dev -l 127.0.0.1:0 -o json   on a free port, which is printed as data
  ldlm dev -- npm test              a server for these tests alone`

func newDev(p *Process) *cobra.Command {
	var settings config.Dev
	var output string
	var quiet bool
	c := &cobra.Command{
		Use:     "dev [flags] [-- COMMAND ARGS...]",
		Short:   "Run a throw-away server for development: memory only, loopback, no password",
		Long:    devLong,
		Example: devExample,
		Args: func(c *cobra.Command, args []string) error {
			if n := c.ArgsLenAtDash(); n >= 0 {
				args = args[:n]
			}
			return noArgs(c, args)
		},
	}
	binding := config.Bind(c.Flags(), &settings)
	c.Flags().StringVarP(&output, "output", "o", "text", "without a command, what it prints: text or json")
	c.Flags().BoolVarP(&quiet, "quiet", "q", false, "do not say what there is, unless as json")
	c.RunE = func(c *cobra.Command, command []string) error {
		if err := binding.Load(p.Getenv); err != nil {
			return misused(c, err)
		}
		if output != "text" && output != "json" {
			return misused(c, fmt.Errorf("-o is text or json here, not %q", output))
		}
		if c.ArgsLenAtDash() >= 0 {
			return runDevCommand(c, p, &settings, command)
		}
		d, err := openDev(c.Context(), p, &settings)
		if err != nil {
			return err
		}
		if quiet && output == "text" {
			output = ""
		}
		return d.run(p, output)
	}
	return c
}

// runDevCommand runs a command with a server of its own.
func runDevCommand(c *cobra.Command, p *Process, settings *config.Dev, command []string) error {
	if len(command) == 0 {
		return misused(c, errors.New("there is no command after --"))
	}
	path, err := lookUp(command[0])
	if err != nil {
		return cannotRun(err)
	}
	if !c.Flags().Changed("listen_address") {
		settings.ListenAddress = "127.0.0.1:0"
	}
	if !c.Flags().Changed("rest_listen_address") {
		settings.RESTListenAddress = "127.0.0.1:0"
	}
	if !c.Flags().Changed("ipc_socket_file") && config.SocketFile(settings.IPCSocketFile, p.Getenv) != "" {
		dir, err := os.MkdirTemp(p.Getenv("TMPDIR"), "ldlm-dev")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir) //nolint:errcheck // it is in the folder of what nobody needs
		settings.IPCSocketFile = filepath.Join(dir, "ipc.sock")
	}
	d, err := openDev(c.Context(), p, settings)
	if err != nil {
		return err
	}
	return d.runAround(p, path, command)
}

// runAround runs the server for as long as a command runs.
func (d *dev) runAround(p *Process, path string, command []string) error {
	signals, stop := p.signals()
	defer stop()
	log := openLog(p, "auto", d.settings.LogLevel)
	defer log.close()
	server, e, err := d.start(log.Logger)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), e.timeout)
		defer cancel()
		_ = server.Shutdown(ctx) // the command is over, and its exit code is what counts
		_ = e.last(ctx)
	}()
	mark := "LDLM_ADDRESS=" + d.listener.Addr().String()
	if d.socket != nil {
		mark = "LDLM_IPC_SOCKET_FILE=" + d.path
	}
	c, err := supervise.Start(childConfig(p, path, command, d.environment(p), mark))
	if err != nil {
		return cannotRun(err)
	}
	defer c.Close()
	remarks := newRemarks(p.Stderr, false)
	defer remarks.close()
	f := follower{child: c, foreground: p.Foreground, remarks: remarks}
	f.run(signals, server.Failed())
	if code := c.Code(); code != 0 {
		return &exitError{code: code}
	}
	return nil
}

// environment is what the command finds: this server, and nothing of another one.
func (d *dev) environment(p *Process) []string {
	all := withoutVariables(p.Environ(), "LDLM_PASSWORD", "LDLM_TOKEN", "LDLM_CONTEXT", "LDLM_CLIENT_TLS_CA", "LDLM_CLIENT_TLS_CERT", "LDLM_CLIENT_TLS_KEY")
	all = append(all, "LDLM_ADDRESS="+d.listener.Addr().String(), "LDLM_IPC_SOCKET_FILE="+d.path)
	if d.rest != nil {
		all = append(all, "LDLM_REST_ADDRESS="+d.rest.Addr().String())
	}
	return all
}

// A follower runs with a child, to the end of all of it.
type follower struct {
	child      *supervise.Process
	foreground bool
	remarks    *remarks
	rest       time.Time // when what is left is killed; zero: there is nothing left yet
}

// restPatience is how long what a command leaves behind may take to end.
const restPatience = 3 * time.Second

func (f *follower) run(signals <-chan os.Signal, failed <-chan struct{}) {
	done := f.child.Done()
	t := time.NewTicker(restEvery)
	defer t.Stop()
	for over := false; !over; {
		select {
		case <-done:
			done = nil
		case s := <-signals:
			passOn(f.child, s, f.foreground, f.remarks)
		case <-failed:
			failed = nil
			f.remarks.warn("the server cannot go on; SIGTERM to %s", f.child)
			_ = f.child.Terminate()
		case <-t.C:
			over = done == nil && f.isOver()
		}
	}
}

// isOver ends what the command left behind.
func (f *follower) isOver() bool {
	rest, err := f.child.Rest()
	switch {
	case err != nil || len(rest) == 0:
		return true
	case f.rest.IsZero():
		f.rest = time.Now().Add(restPatience)
		f.remarks.warn("the command has ended, but %d of its processes live (%s): SIGTERM, SIGKILL in %s", len(rest), some(rest), seconds(restPatience))
		_ = f.child.Terminate()
	case time.Now().After(f.rest):
		_ = f.child.Kill()
	}
	return false
}

// A devDocument is what a development server says of itself as data.
type devDocument struct {
	Version string `json:"version"`
	PID     int    `json:"pid"`
	// Address is where it listens, for both protocols.
	Address       string `json:"address"`
	RESTAddress   string `json:"rest_address,omitempty"`
	AdminAddress  string `json:"admin_address,omitempty"`
	IPCSocketFile string `json:"ipc_socket_file,omitempty"`
}

// document is what print says, as a line of JSON.
func (d *dev) document() ([]byte, error) {
	doc := devDocument{Version: currentBuild().version, PID: os.Getpid(), Address: d.listener.Addr().String()}
	if d.rest != nil {
		doc.RESTAddress = d.rest.Addr().String()
	}
	if d.admin != nil {
		doc.AdminAddress = d.admin.Addr().String()
	}
	if d.socket != nil {
		doc.IPCSocketFile = d.path
	}
	line, err := document.Append(nil, doc)
	return append(line, '\n'), err
}
