package supervise

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

func getsid() (int, error) { return unix.Getsid(0) }

// processes reads the table of all processes.
func processes() ([]process, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close() //nolint:errcheck // it was only read
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var table []process
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		// What cannot be read has ended meanwhile.
		if stat, err := os.ReadFile("/proc/" + name + "/stat"); err == nil {
			if p, err := parseStat(pid, stat); err == nil {
				table = append(table, p)
			}
		}
	}
	return table, nil
}

var errStat = errors.New("not a line of /proc/PID/stat")

// parseStat reads /proc/PID/stat: after the name, which is in brackets and may
// have any character in it, come state, parent, group and session, and as the
// eighteenth the number of threads. The first thread may have ended before others.
func parseStat(pid int, stat []byte) (process, error) {
	const state, parent, group, session, threads = 0, 1, 2, 3, 17
	end := bytes.LastIndexByte(stat, ')')
	fields := bytes.Fields(stat[end+1:])
	if end < 0 || len(fields) <= threads {
		return process{}, errStat
	}
	number := func(i int) int {
		n, _ := strconv.Atoi(string(fields[i])) // 0 is nobody
		return n
	}
	ended := bytes.ContainsAny(fields[state], "ZX") && number(threads) <= 1
	return process{pid: pid, parent: number(parent), group: number(group), session: number(session), dead: ended}, nil
}

// marked reports whether a process was started with an entry in its environment.
// Of what belongs to others that cannot be seen.
func marked(pid int, entry string) bool {
	environment, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return false
	}
	return slices.ContainsFunc(bytes.Split(environment, []byte{0}), func(e []byte) bool { return string(e) == entry })
}
