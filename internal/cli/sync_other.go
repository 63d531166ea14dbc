//go:build !unix

package cli

// syncFolder does nothing: folders cannot be synced here.
func syncFolder(string) error { return nil }
