// Package certs keeps the certificates of a server: its own, and those that the
// certificates of clients must be signed by. They are files, and files are
// replaced while the server runs: new connections use the new ones, those that
// are open go on.
//
// A file is looked at again every 30 s, by its content: neither the time of a
// file nor its identity tells anything where files are links that are swapped. A
// new file that is no good changes nothing and is told once.
//
// It knows files and TLS. It does not know ports, protocols and signals.
package certs
