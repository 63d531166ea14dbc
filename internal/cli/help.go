package cli

import (
	"embed"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm/internal/config"
)

// topics are texts of help that belong to no command.
//
//go:embed topics/*.txt
var topics embed.FS

// addTopics adds the topics to the tree of commands: cobra shows a command that
// does nothing as one.
func addTopics(root *cobra.Command) {
	for _, t := range [][2]string{
		{"exit-codes", "What exit codes mean"},
		{"environment", "Variables that the commands read and set"},
		{"locks", "What a lock is, and what it promises"},
		{"compat", "What keeps working from version 1"},
	} {
		c := &cobra.Command{Use: t[0], Short: t[1], Long: topic(t[0])}
		c.SetUsageTemplate("")
		root.AddCommand(c)
	}
}

// topic returns a text of help.
func topic(name string) string {
	text, err := topics.ReadFile("topics/" + name + ".txt")
	if err != nil {
		panic(err) // it is not in the program
	}
	return strings.TrimSuffix(string(text), "\n")
}

// newHelp is cobra's own command, but that it refuses what there is no help for.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND or TOPIC]",
		Short: "Show what a command does, or a topic",
		RunE: func(c *cobra.Command, args []string) error {
			about, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 && about.HasSubCommands() {
				return noHelp(c, about, args)
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
		ValidArgsFunction: func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			about, _, err := c.Root().Find(args)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return namesBelow(about), cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// noHelp refuses what there is no help for.
func noHelp(c, about *cobra.Command, args []string) error {
	if about == nil {
		about = c.Root()
	}
	text := fmt.Sprintf("there is no command or topic %q", strings.Join(args, " "))
	if near := config.Nearest(args[len(args)-1], namesBelow(about)); near != "" {
		text += "; did you mean " + near + "?"
	}
	return misused(c, errors.New(text))
}

// namesBelow are the names that can follow a command's.
func namesBelow(c *cobra.Command) []string {
	var names []string
	for _, sub := range c.Commands() {
		if !sub.Hidden {
			names = append(names, sub.Name())
		}
	}
	return names
}
