// Package cli has the commands: what the programs under cmd are, each a few
// lines long.
//
// A command sees its process through a [Process], which is handed in, and returns
// an exit code; so tests run the very programs. Data goes to stdout, everything
// else to stderr. The files whose names begin with server and dev wire the parts
// of a server together, and nothing else; no other file knows these parts.
//
// The old names, ldlm-server and ldlm-lock, keep the flags, the texts and the
// exit codes that scripts know from version 1.
//
// What it does not know: locks. Where one is to be changed, it asks a server.
package cli
