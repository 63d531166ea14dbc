package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/load"
	"github.com/ldlm-io/ldlm/internal/proc"
)

// Carriers of bench.
const (
	carrierPlain = "plain"
	carrierGRPC  = "grpc"
	carrierV1    = "v1"
)

// eachWorker is the number of connections when every worker has its own.
const eachWorker = "each"

// defaultHeld is how many locks are held if nobody says how many.
const defaultHeld = 100_000

// A benchCommand makes work for a server and measures it.
type benchCommand struct {
	*outputFlags
	carrier, workload string
	workers           int
	connections       string
	held              int
	duration, warmUp  time.Duration
	pairs             int64
	serverPID         int
}

func newBench(p *Process) *cobra.Command {
	b := &benchCommand{}
	c := &cobra.Command{
		Use:   "bench",
		Short: "Make work for a server, and measure it",
		Long: "Workers take and release locks for a while, and what they saw is printed: pairs of\n" +
			"lock and release per second, how long pairs took, and what they cost the server, if it\n" +
			"is on this machine and may be looked into (Linux). Workloads:\n\n" +
			"  pairs     each worker has a lock of its own; nobody waits\n" +
			"  handoffs  all workers want the same lock, which goes from one to the next\n" +
			"  held      pairs, while a session holds many other locks\n\n" +
			"Names begin with bench/ and a random number. Ctrl-C ends it early and prints what was\n" +
			"measured until then. It makes as much work as it can: not for servers that others need.",
		Example: "  ldlm bench                                  64 workers over one connection, 10 s\n" +
			"  ldlm bench --connections each --carrier v1  as 64 programs of the first protocol\n" +
			"  ldlm bench --workload handoffs --workers 16\n" +
			"  ldlm bench --workload held --held 100000\n" +
			"  ldlm bench --pairs 100000 -o json | jq .latency_us.p99",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return b.run(c) },
	}
	b.outputFlags = addOutputFlags(p, c)
	flags := c.Flags()
	flags.IntVar(&b.workers, "workers", 64, "so many at a time")
	flags.StringVar(&b.connections, "connections", "1", "`N`, which the workers share, or each for one of its own for each worker")
	flags.Var(choiceValue(&b.carrier, carrierPlain, carrierGRPC, carrierV1), "carrier",
		"plain (native frames), grpc (the same on a gRPC stream) or v1 (the first protocol's calls)")
	flags.Var(choiceValue(&b.workload, string(load.Pairs), string(load.HandOffs), string(load.Held)), "workload", "pairs, handoffs or held")
	flags.IntVar(&b.held, "held", 0, "with the workload held, how many locks (default 100000)")
	b.duration, b.warmUp = 10*time.Second, time.Second
	flags.Var(durationValue(&b.duration), "duration", "measure for so long; 0 needs --pairs")
	flags.Int64Var(&b.pairs, "pairs", 0, "measure so many pairs, however long they take; with --duration whichever is over first")
	flags.Var(durationValue(&b.warmUp), "warm-up", "work so long before the clock runs")
	flags.IntVar(&b.serverPID, "server-pid", 0, "process of the server, to read its processor time (default: looked for)")
	completeWords(c, "carrier", carrierPlain, carrierGRPC, carrierV1)
	completeWords(c, "workload", string(load.Pairs), string(load.HandOffs), string(load.Held))
	completeWords(c, "connections", "1", eachWorker)
	return c
}

func (b *benchCommand) run(c *cobra.Command) error {
	config, err := b.config(c.Flags().Changed("duration"))
	if err != nil {
		return misused(c, err)
	}
	return b.connected(c.Context(), func(ctx context.Context, client *ldlm.Client) error {
		if err := b.meet(ctx, client); err != nil {
			return err
		}
		pid, err := b.findServer(ctx)
		if err != nil {
			return err
		}
		if pid != 0 {
			config.ServerTime = func() (time.Duration, error) { return proc.Time(pid) }
		}
		result, err := load.Run(ctx, config)
		b.endProgress()
		if result.Pairs > 0 || err == nil {
			err = errors.Join(err, b.printer(false).print(benchView(b.document(result, pid))))
		}
		return errors.Join(err, ctx.Err())
	})
}

// config is what flags say.
func (b *benchCommand) config(bounded bool) (load.Config, error) {
	c := load.Config{
		Dial: b.connect, Workload: load.Workload(b.workload), Workers: b.workers, HeldLocks: b.held,
		WarmUp: b.warmUp, Duration: b.duration, Pairs: b.pairs, Prefix: benchPrefix(), Progress: b.progress(),
	}
	if b.pairs > 0 && !bounded {
		c.Duration = 0
	}
	if c.Workload == load.Held && c.HeldLocks == 0 {
		c.HeldLocks = defaultHeld
	}
	if b.connections != eachWorker {
		n, err := strconv.Atoi(b.connections)
		if err != nil || n < 1 {
			return c, fmt.Errorf("connections: %q, want a number or %s", b.connections, eachWorker)
		}
		c.Connections = n
	}
	if b.serverPID < 0 {
		return c, fmt.Errorf("--server-pid: %d is no process", b.serverPID)
	}
	return c, c.Check()
}

// benchPrefix is different each time.
func benchPrefix() string {
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails
	return "bench/" + hex.EncodeToString(random[:]) + "/"
}

// connect makes one of the connections.
func (b *benchCommand) connect(context.Context) (load.Conn, error) {
	if b.carrier == carrierV1 {
		encryption, err := b.connection.tlsConfig()
		if err != nil {
			return nil, err
		}
		return load.V1(b.connection.Address, encryption, b.password)
	}
	var options []ldlm.DialOption
	if b.carrier == carrierGRPC {
		options = append(options, ldlm.WithGRPC())
	}
	client, err := b.dial(options...)
	if err != nil {
		return nil, err
	}
	return load.Native(client), nil
}

// meet asks the server whether it is there, so that the run need not find out. A
// server that speaks the first protocol alone need not answer this.
func (b *benchCommand) meet(ctx context.Context, client *ldlm.Client) error {
	return b.inTime(ctx, func(ctx context.Context) error {
		_, err := client.Admin().Status(ctx)
		if b.carrier == carrierV1 && errors.Is(err, ldlm.ErrUnsupported) {
			return nil
		}
		return err
	})
}

// findServer returns the process of the server, 0 if it is not known.
func (b *benchCommand) findServer(ctx context.Context) (int, error) {
	if b.serverPID != 0 {
		_, err := proc.Time(b.serverPID)
		return b.serverPID, err
	}
	address, _, _ := strings.Cut(b.connection.Address, ",")
	if _, _, err := net.SplitHostPort(address); err != nil && !strings.HasPrefix(address, "unix:") {
		address = net.JoinHostPort(strings.Trim(address, "[]"), strconv.Itoa(ldlm.DefaultPort))
	}
	pid, err := proc.Behind(ctx, address)
	if err == nil {
		_, err = proc.Time(pid)
	}
	if err != nil {
		b.note("what it costs the server is not known: %v", err)
		return 0, nil
	}
	return pid, nil
}

// progress tells people how far the run is: on a terminal in one line, which
// changes; elsewhere when a phase begins.
func (b *benchCommand) progress() func(load.Progress) {
	if b.quiet {
		return nil
	}
	last := load.Phase("")
	return func(p load.Progress) {
		if !b.p.StderrIsTerminal {
			if p.Phase != last {
				b.note("%s", p.Phase)
			}
			last = p.Phase
			return
		}
		fmt.Fprint(b.p.Stderr, "\r\x1b[K", progressText(p))
	}
}

// endProgress clears the line of progress.
func (b *benchCommand) endProgress() {
	if b.p.StderrIsTerminal && !b.quiet {
		fmt.Fprint(b.p.Stderr, "\r\x1b[K")
	}
}

func progressText(p load.Progress) string {
	if p.Phase == load.Holding {
		return fmt.Sprintf("%s: %d locks", p.Phase, p.Pairs)
	}
	text := fmt.Sprintf("%s: %s", p.Phase, shortDuration(p.Elapsed.Truncate(time.Second)))
	if p.Of > 0 {
		text += " of " + shortDuration(p.Of)
	}
	if p.Elapsed > 0 {
		text += fmt.Sprintf(", %.0f pairs/s", float64(p.Pairs)/p.Elapsed.Seconds())
	}
	return text
}

// A benchDocument is a result, and where it comes from.
type benchDocument struct {
	Address   string `json:"address"`
	Carrier   string `json:"carrier"`
	ServerPID int    `json:"server_pid,omitempty"`
	load.Result
}

func (b *benchCommand) document(r load.Result, pid int) benchDocument {
	return benchDocument{b.connection.Address, b.carrier, pid, r}
}

func benchView(d benchDocument) view {
	return view{
		doc: d, names: []string{d.Address},
		lines: func(_, color bool) []string {
			s := &sheet{color: color}
			s.field("Server", d.Address)
			s.field("Work", benchWork(d))
			s.field("Measured", benchMeasured(d.Result))
			s.field("Pairs/s", fmt.Sprintf("%.0f", d.PairsPerSecond))
			l := d.Latency
			s.field("Latency", fmt.Sprintf("50%% %s  90%% %s  99%% %s  99.9%% %s  max %s",
				microsText(l.P50), microsText(l.P90), microsText(l.P99), microsText(l.P999), microsText(l.Max)))
			if d.Workers > 1 {
				s.field("Workers", fmt.Sprintf("%d pairs by the most served, %d by the least", d.MostServed, d.LeastServed))
			}
			if d.Result.Server != nil {
				s.field("Server CPU", fmt.Sprintf("%.2f µs per pair (process %d)", d.Result.Server.CPUMicrosPerPair, d.ServerPID))
			}
			return s.lines()
		},
	}
}

func benchWork(d benchDocument) string {
	text := fmt.Sprintf("%s, %s over %s, %s", d.Workload, counted(d.Workers, "worker", "workers"),
		counted(d.Connections, "connection", "connections"), d.Carrier)
	if d.HeldLocks > 0 {
		text += ", " + counted(d.HeldLocks, "lock", "locks") + " held"
	}
	return text
}

func benchMeasured(r load.Result) string {
	text := fmt.Sprintf("%d pairs in %.1f s", r.Pairs, r.Seconds)
	if r.Interrupted {
		text += ", interrupted"
	}
	return text
}

// microsText writes a duration that was measured, with three digits or so.
func microsText(us float64) string {
	d := time.Duration(us * float64(time.Microsecond))
	unit := time.Nanosecond
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}
