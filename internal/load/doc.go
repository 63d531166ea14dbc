// Package load makes work for a lock server and measures how it is done: so many
// workers over so many connections take and release locks, for a while or a
// number of times, and what they saw comes back as a [Result].
//
// [Run] drives anything that takes locks, a [Conn]; [Native] and [V1] make such
// connections to an LDLM server. What it measures is
// what a program sees that uses the client: the time from asking for a lock to
// the confirmed release of it.
//
// What it does not know: servers. Where one is on this machine its processor
// time is read by a function that the caller brings.
package load
