package wire

import "syscall"

// errReset is how the system reports that the other side reset the connection.
const errReset = syscall.WSAECONNRESET
