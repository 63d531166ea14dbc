package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
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
	date, err := time.Parse(time.RFC3339, b.built)
	if err != nil {
		date = time.Unix(0, 0)
	}
	header := &doc.GenManHeader{Section: "1", Source: "ldlm " + b.version, Manual: "LDLM", Date: &date}
	root.DisableAutoGenTag = true // it would have today's date
	if err := doc.GenManTree(root, header, dir); err != nil {
		return fmt.Errorf("cannot write the pages: %w", err)
	}
	for _, c := range root.Commands() {
		if !c.IsAdditionalHelpTopicCommand() {
			continue
		}
		path := filepath.Join(dir, "ldlm-"+c.Name()+".7")
		if err := os.WriteFile(path, []byte(topicPage(c, header)), 0o644); err != nil { //nolint:gosec // pages are for all
			return fmt.Errorf("cannot write a page: %w", err)
		}
	}
	return nil
}

// topicPage is a topic of help as a manual page. Its lines stay as they are.
func topicPage(c *cobra.Command, h *doc.GenManHeader) string {
	name := "ldlm-" + c.Name()
	escape := func(text string) string {
		text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
		return strings.ReplaceAll("\n"+text, "\n.", "\n\\&.")[1:]
	}
	return fmt.Sprintf(".TH %q \"7\" %q %q %q\n.SH NAME\n%s \\- %s\n.SH DESCRIPTION\n.nf\n%s\n.fi\n.SH SEE ALSO\n\\fBldlm(1)\\fP\n",
		strings.ToUpper(name), h.Date.Format("Jan 2006"), h.Source, h.Manual, escape(name), escape(c.Short), escape(c.Long))
}
