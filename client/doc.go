// Package client is the Go client in the shape that it had in version 1.1.1:
// change the import path of a program written for that, and it compiles and
// behaves. New programs are better off with package ldlm at the root of this
// module, which this one is a thin layer over; [Client.Modern] and
// [Lock.Context] let a program move call by call.
//
//	c, err := client.New(ctx, client.Config{Address: "localhost:3144"})
//	lock, err := c.Lock("my-task", nil)
//	defer lock.Unlock()
//
// Locks live until they are unlocked or the client's connection ends. A lock
// with a timeout is renewed in the background, after a third of the timeout,
// unless Config.NoAutoRefresh says otherwise.
//
// # What is different
//
// Losing a lock never ends the program: where the old client panicked, the
// lock's Done channel is closed, Config.OnLockLost is called and a line is
// logged. Config.PanicOnLockLost brings the panic back. Any timeout from one
// second on is renewed in time, several holds of one sized lock by one client
// work, and Close may be called at any time, and twice.
//
// The package speaks the native protocol over gRPC and therefore needs a server
// of this project; with an older one the first call fails and says so.
package client
