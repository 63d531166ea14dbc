// Command overload puts a server under more load than it should have, in one way
// after the other, and looks at how others are served meanwhile:
//
//	go run ./internal/overload            all of it, which takes a quarter of an hour
//	go run ./internal/overload -small     the same in small, as the tests do
//
// There are three processes: the server; one that brings the load, with the lowest
// priority, as if it were elsewhere; and this one, in which a few well-behaved
// clients take and release locks of their own at a steady pace. What they saw before,
// during and after the load, and what the server took for it, becomes a table.
//
// What a way of loading does, and what has to come of it, is in the file of that name.
// What the command does not know: how a server is built. It starts one as any
// program of ours does, and knows its limits by their names.
package main
