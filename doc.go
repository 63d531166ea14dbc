// Package ldlm takes named locks from an LDLM server, from any number of
// processes and machines.
//
//	c, err := ldlm.Dial("ldlm-1:3144,ldlm-2:3144")
//	err = c.Do(ctx, "invoice/77", func(ctx context.Context) error {
//		return process(ctx, ldlm.TokenFrom(ctx))
//	})
//
// [Client.Do] takes a lock, runs a function with a context that ends if the
// lock is lost, and releases it. [Client.Lock], [Client.TryLock],
// [Client.RLock] and [Client.LockAll] hand out a [*Lock] instead; [Election]
// and [Client.Watch] build on them, and [Admin] is for whoever looks after the
// locks of others. Package ldlmtest has a real server in memory for tests.
//
// # Clocks and fencing
//
// A client believes in its locks for a limited time after the last message
// whose answer confirmed them, counted from before that message was sent, on a
// clock of its own machine that goes on while the machine sleeps; the server
// counts longer. So a holder knows that its lock is lost before anybody else
// gets it, provided that the clocks of the machines run at the same rate to
// within 5 percent; what time they show does not matter. But knowing is not
// stopping: a program can be paused between looking at its lock and the write
// that the lock was to protect, a request can linger in a network, and a
// virtual machine that is stopped together with its clock does not notice
// anything at all. No lock service can prevent that. What can is whoever
// receives the write: every grant carries a token greater than all earlier
// ones, and storage that refuses a token smaller than the greatest it has seen
// ([Lock.Token] for exclusive holds, [Lock.Fence] for shared ones) is safe
// whatever the clocks do. Without such a check a lock is good for efficiency,
// not for correctness.
package ldlm
