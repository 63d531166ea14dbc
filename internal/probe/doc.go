// Package probe says over HTTP whether a server lives (/healthz) and whether it
// is ready for clients (/readyz), to whoever asks: there is no password, and
// nothing that needs one. On a port of its own it has profiles of the process
// too.
//
// It knows HTTP. What readiness depends on is told to it.
package probe
