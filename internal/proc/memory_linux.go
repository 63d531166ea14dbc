package proc

import (
	"bytes"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// MemoryLimit returns how many bytes of memory this process can have before the system
// ends it: those of the machine, or of the control groups that it is in. It is false if
// the system does not tell.
func MemoryLimit() (int64, bool) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, false
	}
	least := int64(info.Totalram) * int64(info.Unit)
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return least, true // it is in none
	}
	return leastOfGroups("/sys/fs/cgroup", groups, least), true
}

// leastOfGroups returns the least limit of the control groups that are listed as in
// /proc/PID/cgroup, and of those around them; most if none has a lower one. In a
// container the group is the root itself, or has a name that is not to be found there.
func leastOfGroups(root string, groups []byte, most int64) int64 {
	for line := range bytes.Lines(groups) {
		// hierarchy:controllers:path; the unified hierarchy names no controllers.
		parts := strings.SplitN(strings.TrimSpace(string(line)), ":", 3)
		if len(parts) != 3 {
			continue
		}
		dir, file := root, "memory.max"
		switch {
		case parts[1] == "":
		case strings.Contains(","+parts[1]+",", ",memory,"):
			dir, file = path.Join(root, "memory"), "memory.limit_in_bytes"
		default:
			continue
		}
		for at := path.Clean("/" + parts[2]); ; at = path.Dir(at) {
			if text, err := os.ReadFile(path.Join(dir, at, file)); err == nil {
				if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 {
					most = min(most, n) // "max" is no number
				}
			}
			if at == "/" {
				break
			}
		}
	}
	return most
}
