// Package archive works on what a server has left on disk while it does not run:
// it looks into data directories and snapshots, makes snapshots of directories,
// and directories of snapshots and of the state files of version 1.
//
// It is the one place beside the node that knows both the engine's files and the
// table of locks, because what is in them has to be read as a table, changed as a
// table, and told in words. Everything that it makes is whole or not there: a
// directory counts once its identity says that it is complete, and that is
// written last.
//
// What it does not know: running servers, flags, and how things are shown.
package archive
