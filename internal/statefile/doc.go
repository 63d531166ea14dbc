// Package statefile reads the state file of LDLM version 1: what a server of
// that version kept on disk so that its locks outlived it.
//
// The file has a list of sessions, each with the grants that it held: name, key
// and size of the lock. Nothing in it says which release wrote it, and two
// releases wrote sizes differently; see [Read] for how they are told apart.
//
// What it does not know: what becomes of the grants. It never writes.
package statefile
