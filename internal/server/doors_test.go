package server_test

import (
	"context"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/adminsock"
	"github.com/ldlm-io/ldlm/internal/audit"
	"github.com/ldlm-io/ldlm/internal/probe"
)

// The doors that ask nobody who it is: the socket, which only the server's own user
// can open, and the probes, which show nothing that needs a password.

// operator counts what it is asked for.
type operator map[string]int

func (o operator) Reload(audit.Actor) error              { o["Reload"]++; return nil }
func (o operator) SetLogLevel(audit.Actor, string) error { o["SetLogLevel"]++; return nil }

// TestEveryQuestionAtTheSocket: whoever may open its file may do all of it, beside
// principals and whatever they are; nobody else may open it.
func TestEveryQuestionAtTheSocket(t *testing.T) {
	p, _, visitors := house(t)
	web := visitors[3]
	path := filepath.Join(t.TempDir(), "s")
	socket, err := adminsock.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	asked := operator{}
	s := adminsock.Start(adminsock.Config{Socket: socket, Node: p.Node(), Logger: slog.New(slog.DiscardHandler), Operator: asked})
	t.Cleanup(s.Close)
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("others may open the socket: %v", info.Mode())
	}
	c, err := ldlm.Dial(p.clients, ldlm.WithToken(web.credential))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	held, err := c.Lock(t.Context(), web.lock)
	if err != nil {
		t.Fatal(err)
	}

	local := adminsock.NewClient(path)
	questions := map[string]func(ctx context.Context) error{
		"List": func(ctx context.Context) error {
			return local.List(ctx, func(g adminsock.Grant) error { asked["List "+g.Name]++; return nil })
		},
		"Unlock":      func(ctx context.Context) error { return local.Unlock(ctx, web.lock, nil) },
		"Reload":      local.Reload,
		"SetLogLevel": func(ctx context.Context) error { return local.SetLogLevel(ctx, "debug") },
	}
	for m := range reflect.TypeOf(local).Methods() {
		if questions[m.Name] == nil {
			t.Errorf("nobody has tried to ask %s", m.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(questions)) { // the list before the end of what is in it
		if err := questions[name](t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if want := (operator{"List " + web.lock: 1, "Reload": 1, "SetLogLevel": 1}); !reflect.DeepEqual(asked, want) {
		t.Errorf("asked for %v, want %v", asked, want)
	}
	<-held.Done()
}

// TestEveryProbeByEverybody: both ports of probes answer everybody alike, whatever it
// shows, and change nothing for anybody.
func TestEveryProbeByEverybody(t *testing.T) {
	p, _, visitors := house(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	admin := probe.Start(l, p.Readiness, slog.New(slog.DiscardHandler))
	defer admin.Close(t.Context())
	everywhere := []string{"/healthz", "/readyz", "/readyz?verbose"}
	places := map[string][]string{
		p.rest: everywhere, admin.Addr().String(): append([]string{"/debug/pprof/", "/debug/pprof/symbol", "/debug/pprof/goroutine?debug=1"}, everywhere...),
	}
	do := func(v *visitor, method, url string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if v.credential != "" {
			r.Header.Set("Authorization", "Bearer "+v.credential)
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		body, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		return a.StatusCode, string(body)
	}
	for address, paths := range places {
		for _, path := range paths {
			for _, v := range visitors {
				if code, body := do(v, http.MethodGet, "http://"+address+path); code != http.StatusOK || body == "" {
					t.Errorf("GET %s by %s: %d %q", path, v.what, code, body)
				}
				if code, _ := do(v, http.MethodPost, "http://"+address+path); code == http.StatusOK {
					t.Errorf("POST %s by %s: %d", path, v.what, code)
				}
			}
		}
	}
	// Profiles are on their own port alone, and nowhere is what the program was started
	// with, where there may be a password.
	if code, _ := do(visitors[6], http.MethodGet, "http://"+admin.Addr().String()+"/debug/pprof/cmdline"); code != http.StatusNotFound {
		t.Errorf("the command line is told: %d", code)
	}
	if code, _ := do(visitors[6], http.MethodGet, "http://"+p.rest+"/debug/pprof/"); code == http.StatusOK {
		t.Errorf("profiles on the port for REST: %d", code)
	}
	http.DefaultClient.CloseIdleConnections()
}
