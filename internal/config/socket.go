package config

import (
	"path/filepath"
	"runtime"
)

// PlatformSpecific stands for the socket file that servers and tools use when
// they are told nothing else. It is a value like any other: help and templates
// show it, and it may be written down.
const PlatformSpecific = "<platform specific>"

// SocketFile returns the path that a setting stands for; "" if there is to be no
// socket. getenv returns "" for a variable that is not set. Windows has no place
// for sockets that everybody would look at, so there is none by default.
func SocketFile(setting string, getenv func(string) string) string {
	if setting != PlatformSpecific {
		return setting
	}
	if runtime.GOOS == "windows" {
		return ""
	}
	dir := getenv("TMPDIR")
	if dir == "" {
		dir = "/tmp"
	}
	return filepath.Join(dir, "ldlm-ipc.sock")
}
