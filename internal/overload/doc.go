// Command overload puts a server under more load than it should have, in one way
// after the other, and looks at how others are served meanwhile:
//
//	go run ./internal/overload            all of it, which takes a quarter of an hour
//	go run ./internal/overload -small     the same in small, as the tests do
//
// There are four processes: the server; one that brings the load, with the lowest
// priority, as if it were elsewhere; one that only echoes; and this one, in which a few
// well-behaved clients take and release locks of their own at a steady pace. What they
// saw before, during and after the load, and what the server took for it, becomes a table.
//
// All of them share the machine's processors, which would make others slower however
// good the server is. So this process also talks to the echo, at the same pace: nobody
// loads that, and what becomes of it says what the machine does to everybody. The others'
// p99 may become as many times longer as that of the echo, and three times that.
//
// What a way of loading does, and what has to come of it, is in the file of that name.
// What the command does not know: how a server is built. It starts one as any
// program of ours does, and knows its limits by their names.
package main
