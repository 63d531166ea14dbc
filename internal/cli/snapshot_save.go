package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/archive"
)

// A snapshotSave saves a snapshot to a file, or to stdout.
type snapshotSave struct {
	*clientFlags
	dataDir string
	force   bool
}

func newSnapshotSave(p *Process) *cobra.Command {
	s := &snapshotSave{}
	c := &cobra.Command{
		Use:   "save FILE",
		Short: "Save a snapshot of everything that a server keeps",
		Long: "Saves a snapshot of locks, queues and sessions while the server goes on. FILE may be -\n" +
			"for stdout. A file is written under another name first, and is there as a whole or not\n" +
			"at all; one that is there already is only replaced with --force.\n\n" +
			"With --data-dir it reads the directory of a server that does not run, and asks nobody. Of\n" +
			"one of several members it may have what a majority never took, and lack what it did.\n\n" +
			"A snapshot has the keys of all holds: whoever can read it can release every lock.",
		Example: "  ldlm snapshot save /backup/ldlm-$(date +%F).snap\n" +
			"  ldlm snapshot save - | ssh backup 'cat >ldlm.snap'\n" +
			"  ldlm snapshot save --data-dir /var/lib/ldlm ldlm.snap",
		Args: arguments(1, "FILE"),
		RunE: func(c *cobra.Command, args []string) error { return s.run(c.Context(), args[0]) },
	}
	s.clientFlags = addClientFlags(p, c)
	c.Flags().StringVar(&s.dataDir, "data-dir", "", "read the `DIR` of a server that does not run")
	c.Flags().BoolVar(&s.force, "force", false, "replace FILE if it is there")
	return c
}

func (s *snapshotSave) run(ctx context.Context, file string) error {
	if file == standardIO {
		if s.p.StdoutIsTerminal {
			return &exitError{code: exitUsage, err: errors.New("ldlm: a snapshot is nothing for a terminal: name a file, or send stdout somewhere")}
		}
		return s.save(ctx, s.p.Stdout, "stdout")
	}
	out, err := createWhole(file, s.force)
	if err != nil {
		return err
	}
	if err := s.save(ctx, out.File, file); err != nil {
		out.drop()
		return err
	}
	return out.keep()
}

// save writes a snapshot, and reads along to make sure that it is whole.
func (s *snapshotSave) save(ctx context.Context, to io.Writer, name string) error {
	proof := newProof()
	out := &progress{to: io.MultiWriter(to, proof), told: time.Now(), tell: s.note}
	err := s.write(ctx, out)
	if bad := proof.close(err); err == nil && bad != nil {
		err = fmt.Errorf("what came is not a whole snapshot: %w", bad)
	}
	if err == nil {
		s.note("saved %s to %s; it has the keys of all holds", bytesText(out.bytes), name)
	}
	return err
}

func (s *snapshotSave) write(ctx context.Context, out io.Writer) error {
	if s.dataDir == "" {
		return s.connected(ctx, func(ctx context.Context, c *ldlm.Client) error { return c.Admin().SaveSnapshot(ctx, out) })
	}
	members, err := archive.Save(s.dataDir, out)
	if err == nil && len(members) > 1 {
		s.note("the directory is that of one of %d members: the newest of what it has may never have been taken by\n"+
			"a majority, and what the others have may be newer; if a majority runs, save from it, without --data-dir", len(members))
	}
	if errors.Is(err, archive.ErrInUse) {
		err = fmt.Errorf("%w\nThe server runs: ask it, without --data-dir", err)
	}
	return err
}

// progress counts what is written, and tells of it now and then.
type progress struct {
	to    io.Writer
	bytes int64
	told  time.Time
	tell  func(format string, args ...any)
}

// tellEvery is how often progress is told.
const tellEvery = 2 * time.Second

// Write implements io.Writer.
func (p *progress) Write(b []byte) (int, error) {
	n, err := p.to.Write(b)
	p.bytes += int64(n)
	if time.Since(p.told) >= tellEvery {
		p.told = time.Now()
		p.tell("%s so far", bytesText(p.bytes))
	}
	return n, err
}

// A proof reads a snapshot as it is written. Close it.
type proof struct {
	*io.PipeWriter
	found chan error // room for one
}

func newProof() *proof {
	r, w := io.Pipe()
	p := &proof{w, make(chan error, 1)}
	go func() {
		err := archive.Verify(r)
		_ = r.CloseWithError(err) // never fails; it is the error of the next Write
		p.found <- err
	}()
	return p
}

// close says what was wrong with what was written, to its end or to a failure.
func (p *proof) close(failed error) error {
	if failed == nil {
		failed = io.EOF
	}
	_ = p.CloseWithError(failed) // never fails
	return <-p.found
}

// A wholeFile is a file that is there as a whole or not at all. It is written under
// another name until it is kept.
type wholeFile struct {
	*os.File
	path  string
	force bool
}

// createWhole begins a file, which nobody else may read. Without force there must be
// none of its name.
func createWhole(path string, force bool) (*wholeFile, error) {
	switch info, err := os.Lstat(path); {
	case err != nil: // it is not there, or what follows says why it cannot be
	case !force:
		return nil, existsError(path)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file and is not replaced; for stdout give -", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return nil, err
	}
	return &wholeFile{f, path, force}, nil
}

func existsError(path string) error {
	return fmt.Errorf("%s is there already, and was not touched: name another file, or replace it with --force", path)
}

// keep makes the file durable and gives it its name.
func (f *wholeFile) keep() error {
	err := f.Sync()
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = f.name()
	}
	if err != nil {
		_ = os.Remove(f.File.Name()) // the first error counts
		return err
	}
	return syncFolder(filepath.Dir(f.path))
}

// name gives the file its name, and replaces nothing without force: a link fails if
// there is one. Where there are no links, whoever is as quick as that loses.
func (f *wholeFile) name() error {
	if !f.force {
		switch err := os.Link(f.File.Name(), f.path); {
		case err == nil:
			return os.Remove(f.File.Name())
		case errors.Is(err, os.ErrExist):
			return existsError(f.path)
		}
	}
	return os.Rename(f.File.Name(), f.path)
}

// drop leaves nothing behind.
func (f *wholeFile) drop() {
	_ = f.Close() // it goes
	_ = os.Remove(f.File.Name())
}

// bytesText is a number of bytes for people.
func bytesText(n int64) string {
	const step = 1000
	units := []string{"B", "kB", "MB", "GB", "TB"}
	value := float64(n)
	for len(units) > 1 && value >= step-0.05 {
		value, units = value/step, units[1:]
	}
	return strings.TrimSuffix(strconv.FormatFloat(value, 'f', 1, 64), ".0") + " " + units[0]
}
