// Command verify runs three servers and many clients on machines of their own, does to
// them what happens in practice, and judges what the clients have seen:
//
//	make verify DURATION=30m
//
// A machine is a network namespace; the network between machines is the program itself,
// which loses, delays, doubles and cuts what it carries. Each server has a file system
// of its own, which hangs, fills up and loses power, and clocks that show another time
// at each start. Clients speak the native protocol, the first one and REST; package
// history judges what they write down.
//
// A run fails if a promise is broken, if a server ends that nobody ended, if something
// is still held long after all clients are gone, or if it proves nothing, for instance
// because there were too few operations. Then what is needed to understand it is kept.
package main
