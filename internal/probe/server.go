package probe

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Limits of the port.
const (
	headerPatience = 5 * time.Second
	idlePatience   = time.Minute
	maxHeaderBytes = 16 << 10
)

// A Server serves [Admin] on a port. Make one with [Start].
type Server struct {
	http  http.Server
	addr  net.Addr
	tasks sync.WaitGroup
}

// Start serves on l, which belongs to the server from now on.
func Start(l net.Listener, report func() Report, log *slog.Logger) *Server {
	s := &Server{addr: l.Addr(), http: http.Server{
		Handler: Admin(report), ReadHeaderTimeout: headerPatience, IdleTimeout: idlePatience, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}
	s.tasks.Go(func() {
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("The port for probes fails; the server goes on without it", "error", err)
		}
	})
	return s
}

// Addr is where it listens.
func (s *Server) Addr() net.Addr { return s.addr }

// Close ends the listening and lets questions under way be answered until ctx
// ends. When it returns, no goroutine is left that accepts.
func (s *Server) Close(ctx context.Context) {
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close() // it closes what it can, and cannot say more
	}
	s.tasks.Wait()
}
