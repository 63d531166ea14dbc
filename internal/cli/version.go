package cli

import (
	"io"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// What a release build sets by the linker's -X. What is empty is taken from what
// Go knows of the build.
var version, commit, built string

// A build says what program this is.
type build struct {
	version, commit, built string
}

// unknown is what nobody has told the program.
const unknown = "unknown"

// currentBuild describes this program. Without a linker's word, built is the time
// of the commit: the same source gives the same program.
func currentBuild() build {
	b := build{version: version, commit: commit, built: built}
	if info, ok := debug.ReadBuildInfo(); ok {
		b.fill(info)
	}
	for _, s := range [...]*string{&b.version, &b.commit, &b.built} {
		if *s == "" {
			*s = unknown
		}
	}
	return b
}

// fill adds what is missing from what Go knows.
func (b *build) fill(info *debug.BuildInfo) {
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if b.version == "" && info.Main.Version == "(devel)" {
		b.version = "devel"
	}
	if b.version == "" {
		b.version = strings.TrimPrefix(info.Main.Version, "v")
	}
	if b.commit == "" && settings["vcs.revision"] != "" {
		b.commit = settings["vcs.revision"]
		if settings["vcs.modified"] == "true" {
			b.commit += ", modified"
		}
	}
	if b.built == "" {
		b.built = settings["vcs.time"]
	}
}

// print writes what --version prints.
func (b build) print(w io.Writer) error {
	_, err := w.Write(joinLines(b.lines(), strings.Clone))
	return err
}

func (b build) lines() []string {
	return []string{"Version: " + b.version, "Commit: " + b.commit, "Built: " + b.built}
}

// view shows the same in every format.
func (b build) view() view {
	return view{
		doc: struct {
			Version string `json:"version"`
			Commit  string `json:"commit"`
			Built   string `json:"built"`
		}{b.version, b.commit, b.built},
		names: []string{b.version},
		lines: func(bool, bool) []string { return b.lines() },
	}
}

func newVersion(p *Process) *cobra.Command {
	c := &cobra.Command{Use: "version", Short: "Show the version of this program", Args: noArgs}
	o := addLocalOutputFlags(p, c)
	c.RunE = func(*cobra.Command, []string) error { return o.printer(false).print(currentBuild().view()) }
	return c
}
