package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A manPage is a page of the manual as it grows: text for man(7). What people wrote
// goes into it as it is, with nothing in it that the formatter takes for an order.
type manPage struct {
	text strings.Builder
}

// newManPage begins a page. Its date is of the form 2006-01-02.
func newManPage(name string, section int, date, source, short string) *manPage {
	p := &manPage{}
	p.order(".TH %q \"%d\" %q %q \"LDLM\"", strings.ToUpper(name), section, date, source)
	p.heading("NAME")
	p.order("%s \\- %s", manText(name), manText(short))
	return p
}

// order adds a line for the formatter.
func (p *manPage) order(format string, args ...any) { fmt.Fprintf(&p.text, format+"\n", args...) }

func (p *manPage) heading(title string) { p.order(".SH %s", title) }

// prose adds paragraphs, which empty lines part. Those that are indented stay as they
// are, as tables and examples must.
func (p *manPage) prose(text string) {
	for i, paragraph := range strings.Split(strings.Trim(text, "\n"), "\n\n") {
		if i > 0 {
			p.order(".PP")
		}
		switch heading, ok := strings.CutPrefix(paragraph, "#### "); {
		case ok: // in what the library says of its own commands
			p.order("\\fB%s\\fP", manText(heading))
		case isIndented(paragraph):
			p.asIs(paragraph)
		default:
			p.order("%s", manText(paragraph))
		}
	}
}

// isIndented reports whether a paragraph has a line that begins with a blank.
func isIndented(paragraph string) bool {
	return slices.ContainsFunc(strings.Split(paragraph, "\n"), func(line string) bool {
		return strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")
	})
}

// asIs adds text whose lines stay lines.
func (p *manPage) asIs(text string) {
	p.order(".nf\n%s\n.fi", manText(strings.ReplaceAll(strings.Trim(text, "\n"), "\t", "    ")))
}

// item adds a term and what it means.
func (p *manPage) item(term, meaning string) { p.order(".TP\n%s\n%s", term, manText(meaning)) }

// manText is text that the formatter leaves alone.
func manText(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	for _, order := range []string{".", "'"} {
		text = strings.ReplaceAll("\n"+text, "\n"+order, "\n\\&"+order)[1:]
	}
	return text
}

// commandPage is the page of a command.
func commandPage(c *cobra.Command, date, source string) string {
	p := newManPage(pageName(c), 1, date, source, c.Short)
	p.heading("SYNOPSIS")
	if c.HasAvailableSubCommands() {
		p.order("\\fB%s\\fP COMMAND", manText(c.CommandPath()))
	} else {
		p.order("\\fB%s\\fP%s", manText(c.CommandPath()), manText(strings.TrimPrefix(c.UseLine(), c.CommandPath())))
	}
	if len(c.Aliases) > 0 {
		p.order(".PP\nAlso: %s.", manText(strings.Join(c.Aliases, ", ")))
	}
	p.heading("DESCRIPTION")
	p.prose(either(c.Long, c.Short+"."))
	p.commands(c)
	if own, common := splitFlags(c); !c.HasAvailableSubCommands() {
		p.options("OPTIONS", own)
		p.options("OPTIONS OF ALL THAT ASK A SERVER", common)
	}
	if c.Example != "" {
		p.heading("EXAMPLES")
		p.asIs(c.Example)
	}
	p.seeAlso(c)
	return p.text.String()
}

// commands lists what is below a command, as its help does.
func (p *manPage) commands(c *cobra.Command) {
	list := func(title string, section int, wanted func(*cobra.Command) bool) {
		for _, sub := range c.Commands() {
			if wanted(sub) {
				if title != "" {
					p.heading(strings.ToUpper(title))
					title = ""
				}
				p.item(fmt.Sprintf("\\fB%s\\fP(%d)", manText(pageName(sub)), section), sub.Short+".")
			}
		}
	}
	for _, g := range c.Groups() {
		list(strings.TrimSuffix(g.Title, ":"), 1, func(sub *cobra.Command) bool { return sub.GroupID == g.ID && hasPage(sub) })
	}
	list("Commands", 1, func(sub *cobra.Command) bool { return sub.GroupID == "" && hasPage(sub) })
	list("Topics", topicSection, (*cobra.Command).IsAdditionalHelpTopicCommand)
}

// options lists flags.
func (p *manPage) options(title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	p.heading(title)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		term := "\\fB" + manText("--"+f.Name) + "\\fP"
		if f.Shorthand != "" {
			term = "\\fB" + manText("-"+f.Shorthand) + "\\fP, " + term
		}
		if value != "" {
			term += " \\fI" + manText(value) + "\\fP"
		}
		if !slices.Contains([]string{"", "0", "0s", "false", "[]"}, f.DefValue) {
			usage += " (default " + f.DefValue + ")"
		}
		p.item(term, usage)
	})
}

// seeAlso names the pages that belong to a command's.
func (p *manPage) seeAlso(c *cobra.Command) {
	var all []string
	add := func(name string, section int) {
		all = append(all, fmt.Sprintf("\\fB%s\\fP(%d)", manText(name), section))
	}
	if c.HasParent() {
		add(pageName(c.Parent()), 1)
	}
	for _, topic := range []string{"environment", "exit-codes"} {
		add("ldlm-"+topic, topicSection)
	}
	p.heading("SEE ALSO")
	p.order("%s", strings.Join(all, ",\n"))
}

// topicPage is the page of a topic of help. Its lines stay as they are.
func topicPage(c *cobra.Command, date, source string) string {
	p := newManPage(pageName(c), topicSection, date, source, c.Short)
	p.heading("DESCRIPTION")
	p.asIs(c.Long)
	p.heading("SEE ALSO")
	p.order("\\fBldlm\\fP(1)")
	return p.text.String()
}

// topicSection is the section of the manual with the topics.
const topicSection = 7

// pageName is what the page of a command or topic is called.
func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// hasPage reports whether the manual has a page of a command.
func hasPage(c *cobra.Command) bool { return c.IsAvailableCommand() || c.Name() == "help" }
