// Package config says what a server can be told, and reads it.
//
// A struct is the manual: each field of [Server] and [Dev] is one setting, and
// its tags are all that there is to know of it:
//
//	name     of the flag, with underscores; hyphens mean the same
//	short    the flag's letter, if it has one
//	default  in the words of the command line; none is the zero value
//	env      the environment variable; what has one is a key of files too
//	group    under which heading the help shows it
//	enum     the only words allowed, separated by commas
//	secret   its value is shown to nobody
//	hidden   help does not show it
//	since    the version that brought it; none is version 1
//	help     one sentence
//
// [Bind] makes flags of a struct, and [Binding.Load] overlays them once the
// command line was parsed: a flag wins over the environment, the environment
// over the configuration file, the file over the default. An empty variable
// counts as none. Every value knows its [Origin], and [Binding.Template] writes
// down what is in force so that it can be read again.
//
// Errors are for people who knew version 1, and their scripts: the first line is
// what it would have said, what helps further comes below.
//
// The package does not know what the settings do, nor which command asks for
// them, nor the process's arguments and environment: all of that is handed in.
package config
