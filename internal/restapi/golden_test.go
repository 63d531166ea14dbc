package restapi_test

import (
	"encoding/json"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// sections reads the recorded answers, by what was asked.
func sections(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/v1.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for part := range strings.SplitSeq(string(text), "### ") {
		title, rest, _ := strings.Cut(part, "\n")
		if !strings.HasPrefix(title, "#") {
			all[title] = strings.TrimSpace(rest)
		}
	}
	return all
}

var (
	hexID  = regexp.MustCompile(`\b[0-9a-f]{32}\b`)
	uuid   = regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b`)
	expiry = regexp.MustCompile(`Expires=[^;\n]+ GMT`)
)

// general replaces what differs from run to run.
func general(s string) string {
	s = hexID.ReplaceAllString(s, "<id>")
	s = uuid.ReplaceAllString(s, "<key>")
	return expiry.ReplaceAllString(s, "Expires=<date>")
}

// recorded are the status line, the headers that a client can notice and the body
// of a recorded answer, with what is to be different on purpose.
func recorded(title, text string) (status string, header http.Header, body string) {
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	header = http.Header{}
	for _, l := range lines[1:] {
		k, v, _ := strings.Cut(l, ": ")
		switch k {
		case "Content-Type", "Www-Authenticate":
			header.Set(k, v)
		case "Set-Cookie":
			header.Set(k, general(v)+"; HttpOnly; SameSite=Lax")
		}
	}
	body = general(strings.TrimSpace(body))
	switch title {
	case "renew missing":
		body = strings.Replace(body, `"Unknown"`, `"LockDoesNotExistOrInvalidKey"`, 1)
	case "refreshlock (v1.1.1 path) on HEAD":
		return "HTTP/1.1 200 OK", header, `{"locked":true,"name":"My lock","key":"<key>"}`
	}
	return lines[0], header, body
}

// check compares an answer with the recorded one.
func check(t *testing.T, all map[string]string, title string, a *answer) {
	t.Helper()
	text, ok := all[title]
	if !ok {
		t.Fatalf("nothing is recorded of %q", title)
	}
	delete(all, title)
	status, want, body := recorded(title, text)
	if got := a.Proto + " " + a.Status; got != status {
		t.Errorf("%s: status %q, want %q", title, got, status)
	}
	got := http.Header{}
	for _, k := range []string{"Content-Type", "Www-Authenticate", "Set-Cookie"} {
		for _, v := range a.Header.Values(k) {
			got.Add(k, general(v))
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: headers %v, want %v", title, got, want)
	}
	if int(a.ContentLength) != len(a.body) {
		t.Errorf("%s: Content-Length %d of %d bytes", title, a.ContentLength, len(a.body))
	}
	// What was written by hand is the same to the byte; what a library writes has
	// white space that varies.
	if g := general(a.body); g != body && !sameJSON(g, body) {
		t.Errorf("%s: body %s, want %s", title, g, body)
	}
}

func sameJSON(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	return reflect.DeepEqual(x, y)
}

// TestTranscript asks what version 1 was asked, and wants its answers.
func TestTranscript(t *testing.T) {
	all := sections(t)
	const requests = 31
	if len(all) != requests {
		t.Fatalf("%d answers are recorded, want %d", len(all), requests)
	}
	h := open(t)
	c, stranger := h.client(), h.client()
	check(t, all, "POST /session", c.do("POST", "/session", ""))
	c.begin()

	locked := c.do("POST", "/v1/lock", `{"name":"My lock","lock_timeout_seconds":60}`)
	check(t, all, "lock", locked)
	key := locked.result(t).Key
	for _, r := range []struct{ title, method, path, body string }{
		{"lock camelCase + string int (contended)", "POST", "/v1/lock", `{"name":"My lock","lockTimeoutSeconds":"20"}`},
		{"size mismatch", "POST", "/v1/lock", `{"name":"My lock","size":2}`},
		{"renew", "POST", "/v1/renew", `{"name":"My lock","key":"` + key + `","lock_timeout_seconds":30}`},
		{"renew missing", "POST", "/v1/renew", `{"name":"nope","key":"x","lock_timeout_seconds":30}`},
		{"refreshlock (v1.1.1 path) on HEAD", "POST", "/v1/refreshlock", `{"name":"My lock","key":"` + key + `","lock_timeout_seconds":30}`},
		{"unlock bad key", "POST", "/v1/unlock", `{"name":"My lock","key":"x"}`},
		{"unlock ok", "POST", "/v1/unlock", `{"name":"My lock","key":"` + key + `"}`},
		{"unlock again", "POST", "/v1/unlock", `{"name":"My lock","key":"` + key + `"}`},
		{"unlock nonexistent", "POST", "/v1/unlock", `{"name":"nope","key":"x"}`},
		{"empty name", "POST", "/v1/lock", `{"name":""}`},
		{"empty body", "POST", "/v1/lock", ""},
		{"size 0", "POST", "/v1/lock", `{"name":"sz","size":0}`},
		{"negative timeout", "POST", "/v1/lock", `{"name":"sz","lock_timeout_seconds":-1}`},
		{"unknown field ignored", "POST", "/v1/lock", `{"name":"uf","what":{"is":["this"]},"wait_timeout_seconds":5}`},
		{"bad json", "POST", "/v1/lock", `{"name":`},
		{"wrong type", "POST", "/v1/lock", `{"name":5}`},
		{"null optional", "POST", "/v1/lock", `{"name":"nul","size":null,"lock_timeout_seconds":null}`},
		{"404", "POST", "/v1/nope", `{}`},
		{"GET lock", "GET", "/v1/lock", ""},
		{"GET /session with cookie", "GET", "/session", ""},
	} {
		check(t, all, r.title, c.do(r.method, r.path, r.body))
	}

	check(t, all, "GET / no cookie", stranger.do("GET", "/", ""))
	check(t, all, "no cookie", stranger.do("POST", "/v1/lock", `{"name":"x"}`))
	check(t, all, "DELETE no cookie", stranger.do("DELETE", "/session", ""))
	stranger.cookie = "ldlm-session=e6bbd43685644ad0beb3280677d1cb9a"
	check(t, all, "bad cookie", stranger.do("POST", "/v1/lock", `{"name":"x"}`))
	check(t, all, "DELETE", c.do("DELETE", "/session", ""))
	check(t, all, "DELETE unknown session", c.do("DELETE", "/session", ""))

	guarded := open(t, passwords("pass:word", "new")).client()
	check(t, all, "password required", guarded.do("POST", "/session", ""))
	guarded.basic = "anybody:pass:word"
	check(t, all, "password ok, any user", guarded.do("POST", "/session", ""))
	guarded.basic, guarded.header = "", http.Header{"Authorization": {"Bearer new"}}
	check(t, all, "Bearer not accepted", guarded.do("POST", "/session", ""))
	for title := range all {
		t.Errorf("%q was not asked", title)
	}
}
