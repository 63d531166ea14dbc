package supervise

// A process is what the system's table says of one.
type process struct {
	pid, parent, group int
	session            int  // 0: not known
	dead               bool // it has ended, and waits for its parent to ask how
}
