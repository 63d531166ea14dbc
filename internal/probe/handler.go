package probe

import (
	"io"
	"net/http"
	"net/http/pprof"
)

// Paths of the probes.
const (
	HealthPath = "/healthz"
	ReadyPath  = "/readyz"
)

// Handler answers the probes: whoever answers at all lives; who is not ready
// answers 503, and with ?verbose says what is wrong. report is called for each
// question and must be quick.
func Handler(report func() Report) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+HealthPath, func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET "+ReadyPath, func(w http.ResponseWriter, r *http.Request) {
		now := report()
		status, text := http.StatusOK, now.verdict()
		if !now.Ready() {
			status = http.StatusServiceUnavailable
		}
		if r.URL.Query().Has("verbose") {
			text = now.String()
		}
		answer(w, status, text)
	})
	return mux
}

// Is reports whether a path is that of a probe.
func Is(path string) bool { return path == HealthPath || path == ReadyPath }

// Admin answers the probes, and gives profiles of the process under
// /debug/pprof/. It is for a port that strangers do not reach: a profile shows
// what is in memory, and takes time.
func Admin(report func() Report) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", Handler(report))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // it hears it or does not
}
