package cli

import "example.com/planted/node" // want `may not import node`

var _ = node.A
