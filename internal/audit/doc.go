// Package audit writes down who did what against somebody's will: one line of
// JSON for each deed, to a file, to stderr or to the system's log.
//
// It knows lines and where they go. It does not know what a deed means: whoever
// carries it out says who asked, from where, why, and how things were before and
// after. Nothing here makes a caller wait for a disk, or stops a server.
package audit
