// Package server puts a server together: a node over its journal, and everything
// that speaks to clients on one listener. Commands and tests start it.
//
// It knows which part needs which, in what order they begin and end, and makes
// their interfaces fit: the packages that speak to clients do not know the node.
// What it does not know: flags, files, signals, and where its listener comes from.
package server
