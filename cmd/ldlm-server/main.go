// Command ldlm-server is the server, under the name and with the flags that it had in
// version 1.
package main

import (
	"os"

	"github.com/ldlm-io/ldlm/internal/cli"
)

func main() { os.Exit(cli.LdlmServer(cli.System())) }
