package probe_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ldlm-io/ldlm/internal/probe"
)

func TestProbes(t *testing.T) {
	var wrong error
	h := probe.Admin(func() probe.Report { return probe.Report{{Name: "a"}, {Name: "b", Err: wrong}} })
	ask := func(method, path string) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody))
		return w.Code, w.Body.String()
	}
	for _, c := range []struct {
		wrong        error
		method, path string
		code         int
		text         string
	}{
		{nil, "GET", "/healthz", 200, "ok\n"},
		{nil, "GET", "/readyz", 200, "ready\n"},
		{nil, "GET", "/readyz?verbose", 200, "[+] a: ok\n[+] b: ok\nready\n"},
		{errors.New("broken"), "GET", "/healthz", 200, "ok\n"},
		{errors.New("broken"), "GET", "/readyz", 503, "not ready\n"},
		{errors.New("broken"), "GET", "/readyz?verbose", 503, "[+] a: ok\n[-] b: broken\nnot ready\n"},
		{nil, "POST", "/readyz", 405, "Method Not Allowed\n"},
		{nil, "GET", "/debug/vars", 404, "404 page not found\n"},
	} {
		wrong = c.wrong
		if code, text := ask(c.method, c.path); code != c.code || text != c.text {
			t.Errorf("%s %s, %v: %d %q", c.method, c.path, c.wrong, code, text)
		}
	}
	if code, text := ask("GET", "/debug/pprof/"); code != 200 || !strings.Contains(text, "goroutine") {
		t.Errorf("profiles: %d", code)
	}
}
