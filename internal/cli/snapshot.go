package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm/internal/archive"
	"github.com/ldlm-io/ldlm/internal/document"
)

func newSnapshot(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "snapshot",
		Short: "Save, inspect and restore what a server keeps",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newSnapshotSave(p), newSnapshotInspect(p), newSnapshotRestore(p))
	return c
}

// standardIO is the argument that means stdin, or stdout.
const standardIO = "-"

// readSnapshot reads the file of a snapshot, or stdin.
func readSnapshot(p *Process, file string) (*archive.Snapshot, error) {
	in, name := p.Stdin, "stdin"
	if file != standardIO {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }() // it was only read
		in, name = f, file
	}
	s, err := archive.Read(in)
	if err != nil {
		return nil, fmt.Errorf("%s is no snapshot that can be used: %w\n"+
			"It was cut short or damaged, or it is something else; nothing was changed. Take another copy, or save anew: ldlm snapshot save", name, err)
	}
	return s, nil
}

func newSnapshotInspect(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Say what is in a snapshot, and whether it is whole",
		Long: "Reads a snapshot to its end and says whose it is, when it was taken, and how much is in\n" +
			"it. With -o wide it tells all of it, in words. FILE may be - for stdin. No server is asked.",
		Example: "  ldlm snapshot inspect ldlm.snap\n  ldlm snapshot inspect -o wide ldlm.snap | less",
		Args:    arguments(1, "FILE"),
	}
	o := addLocalOutputFlags(p, c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		s, err := readSnapshot(p, args[0])
		if err != nil {
			return err
		}
		d := s.Document()
		if args[0] != standardIO {
			d.File = args[0]
		}
		return o.printer(false).print(snapshotView(d, s.Words))
	}
	return c
}

func snapshotView(d document.Snapshot, words func() string) view {
	return view{
		doc: d, names: []string{d.Cluster},
		lines: func(wide, color bool) []string {
			s := &sheet{color: color}
			if d.File != "" {
				s.field("File", d.File)
			}
			describeSnapshot(s, d)
			if d.Quiet != "" {
				s.field("Quiet", "nothing is granted for "+shortDuration(inGo(d.QuietMS)))
			}
			if len(d.OutsideSessions) > 0 {
				s.block("Outside", outsideTable(d.OutsideSessions, wide))
			}
			lines := s.lines()
			if wide {
				lines = append(lines, "")
				lines = append(lines, printableLines(words())...)
			}
			return lines
		},
	}
}

func describeSnapshot(s *sheet, d document.Snapshot) {
	s.field("Taken", time.Time(d.Created).UTC().Format(time.RFC3339))
	s.field("Cluster", d.Cluster)
	s.field("Log", "up to entry "+string(d.Entry)+" of term "+string(d.Term))
	s.field("Locks", fmt.Sprintf("%d: %d held, %d contended", d.Locks, d.Held, d.Contended))
	s.field("Holds", fmt.Sprintf("%d, and %s", d.Holds, counted(d.Waiters, "request waits", "requests wait")))
	s.field("Sessions", number(d.Sessions))
	if d.Token != "" {
		s.field("Token", string(d.Token)+", the newest")
	}
}

// outsideTable lists holds outside sessions, or the first of them.
func outsideTable(holds []document.Holder, all bool) *table {
	const shown = 20
	t := &table{}
	for i, h := range holds {
		if i == shown && !all {
			t.addTexts(plain, fmt.Sprintf("and %d more: -o wide, or -o json", len(holds)-shown))
			break
		}
		lease := "no lease"
		if h.LeaseMS != nil {
			lease = shortDuration(inGo(h.LeaseMS)) + " left"
		}
		t.addTexts(plain, h.Lock, "token "+string(h.Token), "key "+h.KeyPrefix+"…", lease)
	}
	return t
}

func newSnapshotRestore(p *Process) *cobra.Command {
	var dir string
	var quiet time.Duration
	c := &cobra.Command{
		Use:   "restore FILE --data-dir DIR",
		Short: "Make a data directory of a snapshot",
		Long: "Makes a new data directory of a snapshot, for a server of one member to start with.\n" +
			"FILE may be - for stdin. DIR must be new or empty.\n\n" +
			"Clients may have been granted locks after the snapshot was taken, and believe in them.\n" +
			"So nothing is granted until their sessions are over: for the longest ttl that there can\n" +
			"be and the lease of a member, counted from the first start on. --quiet makes that longer.\n" +
			"Tokens go on above all that were given out. Holds outside sessions can outlast any time;\n" +
			"those that the snapshot knows are listed.",
		Example: "  ldlm snapshot restore ldlm.snap --data-dir /var/lib/ldlm\n" +
			"  ldlm server --data_dir /var/lib/ldlm",
		Args: arguments(1, "FILE"),
	}
	o := addLocalOutputFlags(p, c)
	c.Flags().StringVar(&dir, "data-dir", "", "`DIR` to make, new or empty")
	c.Flags().Var(durationValue(&quiet), "quiet", "how long nothing is granted, if that is longer than it must be")
	c.Flags().SetNormalizeFunc(hyphens)
	c.RunE = func(c *cobra.Command, args []string) error {
		if dir == "" {
			return misused(c, errors.New("--data-dir is missing: the directory to make, new or empty"))
		}
		s, err := readSnapshot(p, args[0])
		if err != nil {
			return err
		}
		d, err := s.Restore(archive.Target{Dir: dir}, quiet)
		if err != nil {
			return err
		}
		if args[0] != standardIO {
			d.Snapshot.File = args[0]
		}
		return o.printer(false).print(restoredView(d))
	}
	return c
}

func restoredView(d document.Restored) view {
	return view{
		doc: d, names: []string{d.Directory},
		lines: func(wide, color bool) []string {
			s := &sheet{color: color}
			s.field("Directory", d.Directory)
			describeSnapshot(s, d.Snapshot)
			s.field("Quiet", "nothing is granted for "+shortDuration(inGo(d.QuietMS))+" after the start")
			if d.LongSessions > 0 {
				s.field("By calls", counted(d.LongSessions, "session lives", "sessions live")+" longer than that by calls, as those of REST do; their clients hear of it when they call")
			}
			if len(d.MayOutlast) > 0 {
				s.field("Outside", counted(len(d.MayOutlast), "hold is", "holds are")+" of no session: whoever has renewed one since, or was granted another, may believe in it for longer")
				s.block("", outsideTable(d.MayOutlast, wide))
			}
			s.field("Start it", "ldlm server --data_dir "+shellWord(d.Directory))
			return s.lines()
		},
	}
}

func newDump(p *Process) *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "dump --data-dir DIR",
		Short: "Tell what is in the data directory of a server that does not run",
		Long: "Goes through a data directory: whose it is, the newest snapshot, each entry of the log\n" +
			"with its commands, and the state that comes of it. It changes nothing. Keys are\n" +
			"shortened, and what proves who a client is is left out; names, reasons and values are\n" +
			"not. Damage ends it with an error that names file and offset. With -o json it writes a\n" +
			"line of JSON for each part.",
		Example: "  ldlm dump --data-dir /var/lib/ldlm | less\n" +
			"  ldlm dump --data-dir /var/lib/ldlm -o json | jq 'select(.part==\"entry\")'",
		Args: noArgs,
	}
	o := addLocalOutputFlags(p, c)
	c.Flags().StringVar(&dir, "data-dir", "", "`DIR` of a server that does not run")
	c.Flags().SetNormalizeFunc(hyphens)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if dir == "" {
			return misused(c, errors.New("--data-dir is missing: the directory to look into"))
		}
		switch o.format.name {
		case "":
			o.format.name = formatTable
		case formatName:
			return misused(c, errors.New("what is in a directory has no names to list: -o table, wide, json, yaml or go-template=TEMPLATE"))
		}
		out := o.printer(true)
		return archive.Dump(dir, func(part archive.Part) error {
			return out.print(view{doc: part.Document, lines: func(bool, bool) []string { return printableLines(part.Words()) }})
		})
	}
	return c
}

// printableLines are the lines of a text in which nothing does anything to a terminal.
func printableLines(text string) []string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return lines
}
