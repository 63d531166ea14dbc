// Package supervise runs a program for as long as something is true, and sees that
// nothing of it is left afterwards.
//
// A child is a program with all that it starts: its process group or, where it
// shares the terminal of this process and so has to stay in this process's group,
// what descends from it in the terminal's session. Signals go to all of it, and
// it is over when all of it is. What leaves the group, or the session, on purpose,
// as daemons do, is no longer part of it.
//
// Linux: the kernel kills the child itself when this process dies. The rest is
// killed by a guardian, a second process that does nothing but wait for the end
// of this one; it also knows until when the child may run, so that a child does
// not outlive its permission while this process is stopped. Windows: all of it
// dies with this process, by a job object. On other systems what a killed process
// leaves behind stays.
//
// It does not know why a child has to stop. Who starts one decides, and says so
// in time.
package supervise
