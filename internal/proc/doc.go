// Package proc reads what the system says of other processes of this machine:
// the processor time that one has used, the memory that it has for itself, and
// which one is behind an address; and how much memory this one can have. It asks the system and nobody else, changes
// nothing, and keeps nothing; every call is safe at any time.
//
// It knows Linux. Elsewhere every function says that it does not know, most of them by
// [errors.ErrUnsupported].
package proc
