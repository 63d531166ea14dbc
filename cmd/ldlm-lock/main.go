// Command ldlm-lock shows and ends the grants of the server on this machine.
package main

import (
	"os"

	"github.com/ldlm-io/ldlm/internal/cli"
)

func main() { os.Exit(cli.LdlmLock(cli.System())) }
