package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// disk is a file system of its own in a file, with a journal as real ones have.
type disk struct {
	image, dir string
	frozen     bool
}

const diskBytes = 512 << 20

// inMemory puts a file system into memory at a directory, for the images of disks: no
// fault is to come from the machine's own disk.
func inMemory(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := unix.Mount("ldlm-verify", dir, "tmpfs", 0, "mode=0700,size=4g"); err != nil {
		return fmt.Errorf("mount tmpfs on %s: %w", dir, err)
	}
	return nil
}

// newDisk makes a file system and mounts it.
func newDisk(ctx context.Context, image, dir string) (*disk, error) {
	d := &disk{image: image, dir: dir}
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		return nil, err
	}
	if err := os.Truncate(image, diskBytes); err != nil {
		return nil, err
	}
	if out, err := exec.CommandContext(ctx, "mkfs.ext4", "-q", "-F", "-m", "0", "-J", "size=8", image).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("mkfs.ext4: %w: %s", err, out)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	return d, d.mount(ctx)
}

// mount mounts the file system, which repairs itself from its journal.
func (d *disk) mount(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "mount", "-o", "loop", d.image, d.dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mount %s: %w: %s", d.dir, err, out)
	}
	return nil
}

// unmount takes it away. Nobody may use it.
func (d *disk) unmount() error {
	d.thaw()
	if err := unix.Unmount(d.dir, 0); err != nil {
		return fmt.Errorf("unmount %s: %w", d.dir, err)
	}
	return nil
}

// data is the directory for a member's data.
func (d *disk) data(member string) string { return filepath.Join(d.dir, member) }

// control does something with the whole file system.
func (d *disk) control(what uint, value *int32) error {
	fd, err := unix.Open(d.dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", d.dir, err)
	}
	defer func() { _ = unix.Close(fd) }() // it is only read
	if value != nil {
		err = unix.IoctlSetPointerInt(fd, what, int(*value))
	} else {
		err = unix.IoctlSetInt(fd, what, 0)
	}
	if err != nil {
		return fmt.Errorf("%s: ioctl %#x: %w", d.dir, what, err)
	}
	return nil
}

const (
	freezeDisk   = 0xc0045877 // FIFREEZE
	thawDisk     = 0xc0045878 // FITHAW
	shutDownDisk = 0x8004587d // EXT4_IOC_SHUTDOWN
	noLogFlush   = 2          // what was not synced is lost
)

// freeze lets every write and sync hang until thaw.
func (d *disk) freeze() error {
	err := d.control(freezeDisk, nil)
	d.frozen = err == nil
	return err
}

func (d *disk) thaw() {
	if d.frozen {
		d.frozen = d.control(thawDisk, nil) != nil
	}
}

// fail takes the power away from the disk: what was not synced is lost, and from then
// on every access fails.
func (d *disk) fail() error {
	how := int32(noLogFlush)
	return d.control(shutDownDisk, &how)
}

// fill takes all room, but for so many bytes.
func (d *disk) fill(but int64) (empty func() error, err error) {
	name := filepath.Join(d.dir, "ballast")
	var room unix.Statfs_t
	if err := unix.Statfs(d.dir, &room); err != nil {
		return nil, err
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	err = unix.Fallocate(int(f.Fd()), 0, 0, max(1, int64(room.Bavail)*room.Bsize-but))
	if err = errors.Join(err, f.Close()); err != nil && !errors.Is(err, syscall.ENOSPC) {
		return nil, err
	}
	return func() error { return os.Remove(name) }, nil
}
