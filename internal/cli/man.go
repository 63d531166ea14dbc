package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
)

func newMan(p *Process) *cobra.Command {
	var markdown bool
	c := &cobra.Command{
		Use:   "man DIR",
		Short: "Write manual pages, one for each command and topic",
		Long: "Writes manual pages into DIR, which is made if it is not there: section 1 for the\n" +
			"commands, section 7 for the topics of help. With --markdown it writes all of it to\n" +
			"stdout instead, as one page of Markdown.",
		Example: "  ldlm man /usr/local/share/man/man1\n  man -l man/ldlm-lock.1",
		Args:    arguments(0, "DIR"),
	}
	c.Flags().BoolVar(&markdown, "markdown", false, "one page of Markdown, to stdout")
	c.RunE = func(c *cobra.Command, args []string) error {
		switch dir := argument(args, 0); {
		case markdown == (dir != ""):
			return misused(c, errors.New("want DIR, or --markdown"))
		case markdown:
			_, err := io.WriteString(p.Stdout, reference(c.Root()))
			return err
		default:
			return writeManual(c.Root(), dir)
		}
	}
	return c
}

// writeManual writes a page for each command and topic. Their date is that of the
// program, so that the same source gives the same pages.
func writeManual(root *cobra.Command, dir string) error {
	const forAll = 0o755
	if err := os.MkdirAll(dir, forAll); err != nil {
		return fmt.Errorf("cannot make the folder of the pages: %w", err)
	}
	b := currentBuild()
	built, err := time.Parse(time.RFC3339, b.built)
	if err != nil {
		built = time.Unix(0, 0).UTC()
	}
	return writePages(root, dir, built.Format(time.DateOnly), "ldlm "+b.version)
}

// writePages writes the pages of a command and of those below it.
func writePages(c *cobra.Command, dir, date, source string) error {
	var page string
	section := 1
	switch {
	case c.IsAdditionalHelpTopicCommand():
		page, section = topicPage(c, date, source), topicSection
	case hasPage(c):
		page = commandPage(c, date, source)
	default:
		return nil
	}
	path := filepath.Join(dir, fmt.Sprintf("%s.%d", pageName(c), section))
	if err := os.WriteFile(path, []byte(page), 0o644); err != nil { //nolint:gosec // pages are for all
		return fmt.Errorf("cannot write a page: %w", err)
	}
	for _, sub := range c.Commands() {
		if err := writePages(sub, dir, date, source); err != nil {
			return err
		}
	}
	return nil
}
