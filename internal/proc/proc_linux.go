package proc

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Time returns the processor time that a process has used, of user and system,
// all its threads together, ended ones too. It is exact to the nanosecond, not to
// the tick of /proc/PID/stat.
func Time(pid int) (time.Duration, error) {
	// The clock of a process is its number, inverted, and three bits that say
	// what is counted: 2 is the time that the scheduler gave to all threads. See
	// clock_getcpuclockid(3).
	const scheduled = 2
	var t unix.Timespec
	err := unix.ClockGettime(int32(^pid)<<3|scheduled, &t)
	if errors.Is(err, unix.EINVAL) {
		return 0, fmt.Errorf("there is no process %d", pid)
	}
	if err != nil {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// PSS returns the bytes of memory of a process: all that it has for itself, and
// its share of what it has together with others.
func PSS(pid int) (int64, error) {
	const unit = 1024
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	for line := range bytes.Lines(text) {
		if f := strings.Fields(string(line)); len(f) == 3 && f[0] == "Pss:" {
			n, err := strconv.ParseInt(f[1], 10, 64)
			return n * unit, err
		}
	}
	return 0, fmt.Errorf("memory of process %d: the system does not tell its share", pid)
}

// Behind returns the process of this machine that listens at an address, which is
// unix:PATH or host:port. It is found only if this process may look into it, and
// if both see the same network. ctx bounds the look-up of the host.
func Behind(ctx context.Context, address string) (int, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return behindPath(ctx, strings.TrimPrefix(path, "//"))
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0, err
	}
	var r net.Resolver
	ips, err := r.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return 0, err
	}
	number, err := r.LookupPort(ctx, "tcp", port)
	if err != nil {
		return 0, err
	}
	for _, ip := range ips {
		if !ip.Unmap().IsLoopback() {
			return 0, fmt.Errorf("%s is not an address of this machine alone", address)
		}
	}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		inode, err := listener(table, number)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return 0, err
		}
		if inode != "" {
			return owner(inode)
		}
	}
	return 0, fmt.Errorf("nobody listens at %s as far as this process sees", address)
}

// behindPath asks the kernel who took the other end.
func behindPath(ctx context.Context, path string) (int, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var peer *unix.Ucred
	var peerErr error
	if err := raw.Control(func(fd uintptr) {
		peer, peerErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if peerErr != nil {
		return 0, fmt.Errorf("who listens at %s: %w", path, peerErr)
	}
	return int(peer.Pid), nil
}

// listener returns the inode of the socket that listens at a port, "" if there
// is none. A line of the table has the local address and port in hexadecimal
// digits second, the state fourth, and the inode tenth.
func listener(table string, port int) (string, error) {
	const local, state, inode, listening = 1, 3, 9, "0A"
	f, err := os.Open(table)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // it was only read
	suffix := fmt.Sprintf(":%04X", port)
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) > inode && f[state] == listening && strings.HasSuffix(f[local], suffix) {
			return f[inode], nil
		}
	}
	return "", lines.Err()
}

// owner returns the process that has a socket open.
func owner(inode string) (int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		// What has ended meanwhile, or may not be looked into, is not it.
		if target, err := os.Readlink(file); err == nil && target == "socket:["+inode+"]" {
			return strconv.Atoi(strings.Split(file, "/")[2])
		}
	}
	return 0, errors.New("its process belongs to somebody else, and this process may not look into it")
}
