package lock

// Entry is one place in the order of all changes.
type Entry struct {
	// Term in which the entry was appended, and StampTerm in which its time was
	// stamped. An entry whose terms differ has outlived its leader: no time
	// passes, and what only a leader may ask is refused.
	Term, StampTerm uint64
	// Elapsed is how much time has passed since the entry before it. Negative
	// counts as 0.
	Elapsed Duration
	// Commands in their order. None just lets time pass.
	Commands []Command
}
