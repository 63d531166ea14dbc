package grpcapi

import "syscall"

// errReset is what a connection fails with that the other side has reset.
const errReset = syscall.WSAECONNRESET
