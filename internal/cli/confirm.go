package cli

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// A confirmation is what commands want before they take something from others.
type confirmation struct {
	yes bool
}

func (f *confirmation) add(c *cobra.Command) {
	c.Flags().BoolVar(&f.yes, "yes", false, "do not ask; needed where there is no terminal to ask on")
}

// needed refuses at once where nobody can be asked and --yes is missing.
func (f *confirmation) needed(p *Process, c *cobra.Command) (bool, error) {
	if f.yes {
		return false, nil
	}
	if !p.StdinIsTerminal || !p.StderrIsTerminal {
		return false, misused(c, errors.New("there is no terminal to ask on; --yes says that you mean it"))
	}
	return true, nil
}

// confirm has somebody at the terminal type a word. It does not touch signals, so
// that ^C ends the process as always.
func (p *Process) confirm(question, word string) error {
	fmt.Fprintf(p.Stderr, "%s: ", question)
	line, err := bufio.NewReader(p.Stdin).ReadString('\n')
	if err != nil {
		fmt.Fprintln(p.Stderr) // nobody has ended the line
	}
	if typed := strings.TrimRight(line, "\r\n"); typed != word && typed != printable(word) {
		return &exitError{code: exitFailure, err: errors.New("ldlm: that is not it; nothing was changed")}
	}
	return nil
}
