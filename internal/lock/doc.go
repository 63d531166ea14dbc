// Package lock is the table: who holds which lock, who waits for it, which
// sessions there are, and what time it is.
//
// The table is a deterministic machine with one door, [Table.Apply]. Equal
// tables that are given equal entries stay equal and answer alike, whichever
// member of a cluster they live in. So nothing here starts a goroutine, reads a
// clock, draws a number at random, does I/O or depends on the order of a map:
// time comes in as the elapsed part of an [Entry], keys and secrets come in
// with the commands, limits are part of the state ([Settings]).
//
// # Duties of the caller
//
// The caller serialises all calls; a Table is not safe for concurrent use. It
// hands in entries in the one order that the journal decided, and takes what
// comes out by value before the next call: outcomes for whoever asked, settled
// requests for whoever waits, events for whoever watches.
//
// # Order inside an entry
//
// First time passes. Then everything that is due by then ends, in one step:
// all waits of what ends are dropped before any hold is freed, and only then
// are the queues served, so that an end never grants to something that ends as
// well. Then come the commands, one by one, each serving the queues that it
// touched.
//
// What the package does not know: connections, wire formats of clients, wall
// clocks (but for the birth of the token counter), disks, and other members'
// tables.
package lock
