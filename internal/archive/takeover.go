package archive

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal/raftlog"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/statefile"
)

// A TakeOver says which state file of version 1 is to become a data directory.
type TakeOver struct {
	// File is the state file. One that is missing or empty has no locks.
	File string
	// To is the directory beside it.
	To Target
	// Lease is what the grants in the file get, whatever lease they had. Less than a
	// microsecond acts as one.
	Lease time.Duration
	// Logger is told what was taken over.
	Logger *slog.Logger
}

// Run takes the file over if the directory is new or empty: its grants become holds
// outside sessions, with their keys and sizes. The directory has all of them or none:
// after a crash Run begins anew. The file is only read. A directory that has data is
// left as it is, and the file is not read.
//
// The first line of errors about the file is that of version 1.
func (t *TakeOver) Run(ctx context.Context) error {
	since, has, err := raftlog.Born(t.To.Dir)
	if err != nil {
		return t.Beside(err)
	}
	if has {
		t.warnIfChanged(ctx, since)
		return nil
	}
	f, err := t.read()
	if err != nil {
		return fmt.Errorf("loadState() error reading state file: %w", err)
	}
	if len(f.Grants) == 0 {
		return nil
	}
	table, err := t.tableOf(f)
	if err != nil {
		return fmt.Errorf("loadState() error reading state file: %w", err)
	}
	if err := raftlog.Restore(t.To.config(), raftlog.SnapshotInfo{}, chunksOf(table)); err != nil { //nolint:contextcheck // it is done or not: there is nothing to end
		return t.Beside(err)
	}
	t.tell(ctx, f)
	return nil
}

// Beside adds to an error of the directory which file it stands beside: whoever started
// the server has named only that.
func (t *TakeOver) Beside(err error) error {
	return fmt.Errorf("%w\nThat is where the locks of state_file %s are kept; another file has another directory", err, t.File)
}

// warnIfChanged is for whoever has let the old server run again after its file was
// taken over.
func (t *TakeOver) warnIfChanged(ctx context.Context, since time.Time) {
	info, err := os.Stat(t.File)
	if err != nil || !info.ModTime().After(since) {
		return
	}
	t.Logger.WarnContext(ctx, "The state file has changed since the data directory beside it was made, and is not read again. "+
		"If a server of version 1 has run in between, its locks are in the file alone: to take them over, move the directory away",
		"state_file", t.File, "data_dir", t.To.Dir)
}

const untouched = "The file was not changed and nothing was taken over. "

// read reads the file.
func (t *TakeOver) read() (*statefile.File, error) {
	info, err := os.Stat(t.File)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return &statefile.File{}, nil
	case err != nil:
		return nil, t.unreadable(err)
	case info.IsDir():
		return nil, t.unreadable(fmt.Errorf("%s is a directory; the state is kept in %s", t.File, t.To.Dir))
	case !info.Mode().IsRegular():
		return nil, t.unreadable(fmt.Errorf("%s is not a regular file", t.File))
	}
	r, err := os.Open(t.File)
	if err != nil {
		return nil, t.unreadable(err)
	}
	defer func() { _ = r.Close() }() // it was only read
	f, err := statefile.Read(r)
	bad := (*statefile.Error)(nil)
	switch {
	case errors.As(err, &bad):
		// Whatever is wrong, version 1 says that.
		return nil, fmt.Errorf("error unmarshaling state data: buffer too small\n"+
			"state_file %s, %w. It is not what a server of version 1 writes, or it is damaged. "+untouched+
			"Put a good copy in its place, or move it away to begin without locks", t.File, err)
	case err != nil:
		return nil, t.unreadable(err)
	}
	return f, nil
}

func (t *TakeOver) unreadable(err error) error {
	return fmt.Errorf("%w\nstate_file %s cannot be read. Nothing was taken over. "+
		"Give the user that runs the server the right to read it, or name another file with state_file", err, t.File)
}

// tableOf makes a table in which the grants are held.
func (t *TakeOver) tableOf(f *statefile.File) (*lock.Table, error) {
	table := lock.New()
	if err := born(table, 0); err != nil {
		return nil, err
	}
	// Whoever had so many locks goes on having them.
	d := lock.DefaultSettings()
	change(table, &lock.SetSettings{Settings: lock.Settings{
		MaxLocks: max(d.MaxLocks, len(f.Grants)), MaxHoldsOutsideSessions: max(d.MaxHoldsOutsideSessions, len(f.Grants)),
	}})
	for i := range f.Grants {
		g := &f.Grants[i]
		key, ok := keyOf(g.Key)
		if !ok {
			return nil, t.impossible(g, "its key is %q, and keys are UUIDs, 36 characters in lower case", g.Key)
		}
		o := change(table, &lock.Acquire{
			Items: []lock.Item{{Name: g.Name, Size: uint32(g.Size), Permits: 1}}, Lease: max(inTable(t.Lease), lock.Microsecond), Key: key,
		})[0]
		if o.Code != lock.OK {
			return nil, t.impossible(g, "it cannot be held: %s (limit %d)", o.Code, o.Limit)
		}
	}
	return table, nil
}

func (t *TakeOver) impossible(g *statefile.Grant, format string, args ...any) error {
	return fmt.Errorf("lock %q: %s\nstate_file %s has a lock that cannot be taken over. %s"+
		"Have a server of version 1 release it, or move the file away to begin without locks",
		shortened(g.Name), fmt.Sprintf(format, args...), t.File, untouched)
}

// shortened cuts a name that is too long for a message.
func shortened(name string) string {
	const most = 128
	if len(name) <= most {
		return name
	}
	return strings.ToValidUTF8(name[:most], "") + "…"
}

// keyOf reads a key as version 1 wrote it. One that would come out otherwise is none:
// its holder could not show it.
func keyOf(s string) (lock.Key, bool) {
	var k lock.Key
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(b) != len(k) {
		return k, false
	}
	copy(k[:], b)
	return k, k.String() == s && k != lock.Key{}
}

// tell logs what was taken over.
func (t *TakeOver) tell(ctx context.Context, f *statefile.File) {
	for i := range f.Grants {
		t.Logger.InfoContext(ctx, "Loaded lock", "name", f.Grants[i].Name, "key", f.Grants[i].Key[:8])
	}
	sizes := "plain"
	if f.Sizes == statefile.ZigzagSizes {
		sizes = "of v1.1.1"
		t.Logger.WarnContext(ctx, "All sizes in the state file are even, so they were read as v1.1.1 writes them, which is twice the size. "+
			"If a newer release has written the file, the locks have half their size now: ldlm resize mends that", "state_file", t.File)
	}
	t.Logger.InfoContext(ctx, "The state file of version 1 was taken over; it is not read again", "state_file", t.File,
		"data_dir", t.To.Dir, "locks", len(f.Grants), "sizes", sizes, "lease", t.Lease.String())
}
