// Package bench compares whole systems on one machine: LDLM, Redis, etcd, and
// bare echoes that tell what a carrier costs when nothing is behind it. It is a
// module of its own, so that the clients of other systems are no dependencies of
// LDLM.
//
// Load and server run in processes of their own, as in life, and share the
// machine. A benchmark reports the server's processor time for each operation
// beside the time that the operation took: with both on one machine the first
// says more. README.md tells how to compare.
package bench
