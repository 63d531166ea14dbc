package docs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// build builds the program that the documents use.
func build(t *testing.T) (bin string) {
	t.Helper()
	needs(t, "sh", "go", "curl")
	bin = t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "../cmd/ldlm").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// The lines of the page on REST are one session. After each block of shell comes
// the answer to its last line, in which only ids and keys differ.
func TestRESTPage(t *testing.T) {
	bin := build(t)
	const mark = "\n--- answer\n"
	var script strings.Builder
	var want []block
	all := blocks(t, "rest.md")
	for i, b := range all {
		if b.language != "sh" {
			continue
		}
		if i+1 == len(all) || all[i+1].language != "json" {
			t.Fatalf("rest.md:%d: what does it answer?", b.line)
		}
		want = append(want, all[i+1])
		lines := strings.Split(strings.TrimSuffix(strings.ReplaceAll(b.code, shownREST, "$LDLM_REST_ADDRESS"), "\n"), "\n")
		last := len(lines) - 1
		fmt.Fprintf(&script, "%s\nprintf '%s'\n%s\n", strings.Join(lines[:last], "\n"), strings.ReplaceAll(mark, "\n", `\n`), lines[last])
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "lines"), script.String(), 0o600)
	answers := strings.Split(shell(t, dir, "exec ldlm dev -- sh -eu lines\n", environment("", bin)), mark)[1:]
	if len(answers) != len(want) {
		t.Fatalf("%d answers, want %d", len(answers), len(want))
	}
	for i, w := range want {
		if got, wanted := general(t, answers[i]), general(t, w.code); !reflect.DeepEqual(got, wanted) {
			t.Errorf("rest.md:%d: got %v, want %v", w.line, got, wanted)
		}
	}
}

// general reads an answer, without what differs from run to run.
func general(t *testing.T, text string) any {
	t.Helper()
	text = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32}`).ReplaceAllString(text, "…")
	var v any
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	if err := d.Decode(&v); err != nil {
		t.Errorf("%s: %v", text, err)
	}
	return v
}

func hostOf(t *testing.T, address string) string {
	t.Helper()
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return host
}

// The page on TLS, word by word, on other ports.
func TestTLSPage(t *testing.T) {
	bin := build(t)
	needs(t, "openssl")
	address, rest := freeAddress(t), freeAddress(t)
	var script strings.Builder
	script.WriteString("asides=\ntrap 'kill $asides 2>/dev/null || true' EXIT\n")
	for _, b := range blocks(t, "tls.md") {
		code := strings.NewReplacer(
			shownREST, rest, "curl ", "curl -sS --fail ", "IP:127.0.0.1", "IP:"+hostOf(t, address)+",IP:"+hostOf(t, rest),
			"ldlm server ", "exec ldlm server --ipc_socket_file '' --listen_address "+address+" ",
		).Replace(b.code)
		if b.mark == "aside" {
			fmt.Fprintf(&script, "(\n%s) &\nasides=\"$asides $!\"\n", code)
			script.WriteString("ldlm --tls-ca ca.pem --tls-cert client.pem --tls-key client.key wait-ready --timeout 60s\n")
			continue
		}
		script.WriteString(code)
	}
	said := shell(t, t.TempDir(), script.String(), environment(address, bin))
	for _, text := range []string{"it is mine\n", `{"session_id": "`} {
		if !strings.Contains(said, text) {
			t.Errorf("it did not say %q", text)
		}
	}
}
