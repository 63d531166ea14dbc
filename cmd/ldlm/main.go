// Command ldlm is the program of LDLM: a server, and what belongs to it.
package main

import (
	"os"

	"github.com/ldlm-io/ldlm/internal/cli"
)

func main() { os.Exit(cli.Ldlm(cli.System())) }
