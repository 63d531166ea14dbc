// Package node decides when. It owns the goroutines, the time and the waiters
// of a server: it is the only one that knows both the table, which answers, and
// the journal, which puts everything into one order.
//
// Whoever speaks to clients calls a [Node] in two ways. [Node.Call] carries one
// command to its end, a wait in a queue included. A [Link] is the connection of
// a session: commands go in by [Link.Submit], and everything that the client
// has to be told gathers in the link's mailbox until [Link.Take].
//
// # Goroutines
//
// Callers run on goroutines of their own, right down to the journal. The node
// has six more, all started by [Open] and gone when [Node.Close] returns:
//
//	 callers                   Call, Submit, Attach, reads
//	    |                        |  propose
//	    v                        v
//	+---------+   +---------+  +----------------------------------+
//	| clerk   |   | beater  |  | journal: one order               |
//	| detach, |-->| member  |->|   Stamp ---> Node (looks at clock)|
//	| cancel  |   | lease   |  |   Apply ---> Node.mu: table      |
//	+---------+   +---------+  +----------------|-----------------+
//	     ^             ^            ^  ^        |  outcomes -> callers
//	     |             |            |  |        |  settled  -> waiters, mailboxes
//	 Link.Detach,  first link       |  |        |  notices  -> mailboxes
//	 strays                         |  |        v
//	                    +-----------+ ++------------+   +--------+   +-------+
//	 while leading:     | timekeeper| | collector   |   | ring of|-->|herald |--> Watch
//	                    | deadlines | | idle locks  |   | events |   +-------+
//	                    +-----------+ +-------------+   | notes  |-->|scribe |--> log
//	                                                    +--------+   +-------+
//
// Apply never waits for anybody: mailboxes grow as far as what a client has
// outstanding, waiters have a channel with room for one, and events go into a
// ring that the herald reads behind it. What ended without its holder's will is
// noted for the scribe, who logs it. The timekeeper runs the collector, and
// both only propose while the context of the lead lives.
//
// # Time
//
// The node looks at the clock; the table only knows what entries tell it. A
// look adds what has passed since the last one, no more than Config.StallLimit
// if the table has had a deadline in between: a process that stood still does
// not expire everybody when it wakes. The timekeeper looks often while there is
// any deadline, and proposes an empty entry only when the next one is reached.
//
// # Other members
//
// A node with Config.Shared is one member of several, with one order for all. It lives
// in the table by its beats, and answers for its clients' sessions only while it is
// certain that the others have not given it up: less than a lease after the newest
// beat that it has seen itself taken was sent. Before that ends the warden ends all links. A
// member that is alone answers without looking: only its own journal could end
// anything.
//
// # What it does not know
//
// Connections, frames, requests of any protocol; files; where other members are, and
// how they are reached. What a command means is the table's business.
package node
