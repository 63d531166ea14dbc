//go:build !unix

package cli

// maxDescriptors is not known here: there is no such limit.
func maxDescriptors() (n uint64, known bool) { return 0, false }
