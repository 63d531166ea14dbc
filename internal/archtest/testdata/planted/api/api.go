// Package api may use values of lock, nothing else of ours.
package api

import (
	"log"
	"log/slog"

	"example.com/other"        // want `may not import example.com/other`
	"example.com/planted/lock" // its values are allowed
	"example.com/planted/node" // want `may not import node`
	"google.golang.org/grpc"   // the row has it
	"google.golang.org/grpcx"  // want `may not import google.golang.org/grpcx`
)

var (
	_ = other.A
	_ = grpc.A
	_ = grpcx.A
	_ = node.A
)

// Command is a value, which an API may make.
var Command = lock.Command{}

// Hold is the engine itself.
func Hold(t *lock.Table) { // want `may use values of lock, not Table`
	lock.New() // want `may use values of lock, not New`
}

var logger = slog.Default() // want `a logger of the package` want `slog.Default uses the logger of the process`

var old *log.Logger // want `a logger of the package`

// Speak logs where nobody asked for it.
func Speak(l *slog.Logger) {
	slog.Info("hello")   // want `slog.Info uses the logger of the process`
	log.Printf("hello")  // want `log.Printf uses the logger of the process`
	log.SetFlags(0)      // want `log.SetFlags uses the logger of the process`
	l.Info("is allowed") // came from outside
	_ = slog.LevelInfo
	_ = slog.LogValuer(nil)
}

func init() { // want `init: let whoever needs it call it`
}
