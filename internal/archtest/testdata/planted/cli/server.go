// Package cli wires in one file.
package cli

import "example.com/planted/node"

var _ = node.A
