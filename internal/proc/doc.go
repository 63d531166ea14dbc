// Package proc reads what the system says of other processes of this machine:
// the processor time that one has used, the memory that it has for itself, and
// which one is behind an address. It asks the system and nobody else, changes
// nothing, and keeps nothing; every call is safe at any time.
//
// It knows Linux. Elsewhere every function returns [errors.ErrUnsupported].
package proc
