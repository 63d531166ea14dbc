// Package ldlmtest has a real LDLM server in memory, for the tests of programs
// that take locks. It is the server itself, without ports: what works against it
// works against one on another machine.
//
//	func TestOnlyOneRuns(t *testing.T) {
//		srv := ldlmtest.NewServer(t)
//		c := srv.Client(t)
//		...
//	}
//
// Servers and clients end with their test. They work inside a bubble of
// testing/synctest, where ttls and leases take no time; made there, they must
// be used there.
package ldlmtest
