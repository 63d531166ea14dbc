package raftlog

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// directory is a data directory that is locked for this process.
type directory struct {
	path string
	lock *os.File
	// itself is the directory, locked as well where systems can do that: the file can be
	// deleted, and made anew by another process. nil elsewhere.
	itself *os.File
	info   os.FileInfo // of the directory
	reads  bool        // nothing is to be changed
	identity
}

// identity says whose data a directory has. It is two lines: JSON, and the CRC-32C
// of the first line in hexadecimal.
type identity struct {
	// Format of the directory.
	Format int `json:"format"`
	// Cluster is random and the same for all members.
	Cluster string `json:"cluster"`
	// Member is the name of the one that writes here.
	Member string `json:"member"`
	// Born says that log and snapshots are complete. Before it is set, nothing was
	// acknowledged, and the birth begins anew.
	Born bool `json:"born"`
	// Directory is random: that of another directory of the same member is another one.
	// Directories of early versions get theirs when they are opened.
	Directory string `json:"directory,omitempty"`
	// Known are the directories of other members, by name.
	Known map[string]string `json:"known,omitempty"`
	// Awaits are the members that must have been met before this one, with which a new
	// cluster begins, takes part in anything.
	Awaits []string `json:"awaits,omitempty"`
}

// directoryFormat is what this program writes. A directory of a newer format is refused.
const directoryFormat = 1

// ErrInUse says that another process has the data directory.
var ErrInUse = errors.New("another process uses it")

func (d *directory) logDir() string      { return filepath.Join(d.path, "log") }
func (d *directory) snapshotDir() string { return filepath.Join(d.path, "snapshots") }

// openDirectory makes the directory if it is missing, locks it and reads whose it
// is. One that is new has no format yet.
func openDirectory(path string) (*directory, error) {
	if path == "" {
		return nil, errors.New("a data directory needs a path")
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, unusable(path, err)
	}
	d := &directory{path: path}
	return d, d.enter()
}

// openToRead is openDirectory for whoever changes nothing: the directory is not made, and the
// file system need not be one that can be written to. Nobody can write to it there. Who does on
// another way to the same files, if there is one, is found by the lock of the directory itself.
func openToRead(path string) (*directory, error) {
	d := &directory{path: path, reads: true}
	return d, d.enter()
}

// enter locks the directory and reads whose it is; after an error it is closed.
func (d *directory) enter() error {
	err := d.takeLock()
	if err == nil {
		err = d.readIdentity()
	}
	if err != nil {
		d.close()
	}
	return err
}

// unusable says what is wrong with a data directory, and what to do about it.
func unusable(path string, err error) error {
	step := "name another one"
	info, statErr := os.Stat(path)
	switch {
	case statErr == nil && !info.IsDir():
		return fmt.Errorf("the data directory %s is a file: name a directory, or move the file away", path)
	case errors.Is(err, fs.ErrPermission):
		step = "give the user that runs the server the right to read and write it (and nobody else), or " + step
	case isReadOnly(err):
		step = "mount the file system for writing, or " + step
	case errors.Is(err, syscall.ENOSPC):
		step = "make room there, or " + step
	}
	return fmt.Errorf("the data directory %s cannot be used: %w: %s", path, err, step)
}

// takeLock locks the directory. That also finds out whether it can be written to.
func (d *directory) takeLock() (err error) {
	if d.info, err = os.Stat(d.path); err != nil {
		return unusable(d.path, err)
	}
	path := filepath.Join(d.path, "lock")
	var alone bool
	if d.itself, alone = lockDirectory(d.path); !alone {
		return d.inUse(readPIDOf(path))
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	switch {
	case err != nil && d.reads && isReadOnly(err):
		return nil
	case err != nil:
		return unusable(d.path, err)
	}
	locked, err := lockFile(f)
	if err == nil && locked {
		err = writePID(f)
	}
	switch {
	case err != nil:
		_ = f.Close() // the first error counts
		return unusable(d.path, err)
	case !locked:
		by := readPID(f)
		_ = f.Close()
		return d.inUse(by)
	}
	d.lock = f
	return nil
}

func (d *directory) inUse(by string) error {
	return fmt.Errorf("the data directory %s: %w%s: end that one, or name another directory", d.path, ErrInUse, by)
}

// missing says that the directory is not in its place any more, nil if it is. What is
// written then is not found by the next start.
func (d *directory) missing() error {
	info, err := os.Stat(d.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(info, d.info) {
		return fmt.Errorf("the data directory %s was moved or deleted while it is used: put it back", d.path)
	}
	return nil // what cannot be told is not told
}

// writePID leaves a note for who finds the directory locked.
func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// readPIDOf reads the note in a file that may be missing.
func readPIDOf(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }() // it was only read
	return readPID(f)
}

func readPID(f *os.File) string {
	var b [20]byte
	n, _ := f.ReadAt(b[:], 0) // a note that cannot be read is none
	if text := strings.TrimSpace(string(b[:n])); text != "" {
		return " (process " + text + ")"
	}
	return ""
}

// readIdentity reads whose directory it is. A directory without identity must be
// empty: data without it would be taken for nothing and overwritten.
func (d *directory) readIdentity() error {
	path := filepath.Join(d.path, "identity")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return d.checkEmpty()
	}
	if err != nil {
		return unusable(d.path, err)
	}
	line, sum, _ := strings.Cut(string(b), "\n")
	if fmt.Sprintf("%08x\n", crc32.Checksum([]byte(line), castagnoli)) != sum {
		return damaged(path, 0, "the checksum does not match")
	}
	if err := json.Unmarshal([]byte(line), &d.identity); err != nil {
		return damaged(path, 0, "%v", err)
	}
	if d.Format > directoryFormat || d.Format < 1 {
		return fmt.Errorf("the data directory %s has format %d, written by a newer version; this one reads format %d: start the newer version", d.path, d.Format, directoryFormat)
	}
	return nil
}

func (d *directory) checkEmpty() error {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return unusable(d.path, err)
	}
	for _, e := range entries {
		if name := e.Name(); name != "lock" && name != "lost+found" && !strings.HasPrefix(name, "identity.") {
			return fmt.Errorf("the data directory %s has no file named identity, but it has %s: "+
				"restore identity if this is a data directory, or name an empty directory", d.path, name)
		}
	}
	return nil
}

// writeIdentity makes the identity durable.
func (d *directory) writeIdentity(disk *disk) error { return d.write(disk, d.path) }

// write makes an identity that of the directory at path.
func (i *identity) write(disk *disk, path string) error {
	line, err := json.Marshal(i)
	if err != nil {
		return err
	}
	b := fmt.Appendf(line, "\n%08x\n", crc32.Checksum(line, castagnoli))
	return disk.replaceFile(filepath.Join(path, "identity"), b)
}

// claim gives a new directory its identity, or compares that of an old one with
// what was asked for. cluster may be empty.
func (d *directory) claim(disk *disk, cluster, member string) error {
	switch {
	case d.Format == 0:
		if cluster == "" {
			cluster = newID()
		}
		d.identity = identity{Format: directoryFormat, Cluster: cluster, Member: member, Directory: newID()}
		return d.writeIdentity(disk)
	case d.Member != member:
		return fmt.Errorf("the data directory %s belongs to member %q, and this is member %q: "+
			"start it with that name, as one of several (member_name, cluster_listen_address), or name another directory", d.path, d.Member, member)
	case cluster != "" && d.Cluster != cluster:
		return fmt.Errorf("the data directory %s belongs to cluster %s, and not to %s: name another directory", d.path, d.Cluster, cluster)
	case d.Directory == "":
		d.Directory = newID()
		return d.writeIdentity(disk)
	}
	return nil
}

func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// layOut makes the empty parts of a directory that is being born, and removes what
// an interrupted birth has left.
func (d *directory) layOut(disk *disk) error {
	for _, dir := range []string{d.logDir(), d.snapshotDir()} {
		err := disk.do(opCreate, dir, func() error {
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
			return os.Mkdir(dir, 0o700)
		})
		if err != nil {
			return err
		}
	}
	if err := createMeta(disk, d.logDir()); err != nil {
		return err
	}
	return disk.do(opSync, d.path, func() error { return syncDir(d.path) })
}

// warnIfOpen logs if others than the owner may look into the directory: it has the
// keys of all holds.
func (d *directory) warnIfOpen(disk *disk) {
	info, err := os.Stat(d.path)
	if err == nil && !rightsAreClosed(info) {
		disk.log.WarnContext(context.Background(), "Others than the server's user can read the data directory, which has the keys of all locks",
			"data_dir", d.path, "mode", info.Mode().Perm().String(), "fix", "chmod 700 "+d.path)
	}
}

// close lets the directory go. Nothing was written to the files that matters.
func (d *directory) close() {
	for _, f := range []*os.File{d.lock, d.itself} {
		if f != nil {
			_ = f.Close()
		}
	}
}
