package archive_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ldlm-io/ldlm/internal/archive"
	"github.com/ldlm-io/ldlm/internal/document"
	"github.com/ldlm-io/ldlm/internal/journal/raftlog"
	"github.com/ldlm-io/ldlm/internal/lock"
	"github.com/ldlm-io/ldlm/internal/node"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a node over a data directory. close may be called early.
func open(t *testing.T, dir string) (n *node.Node, journal *raftlog.Journal, closeNode func()) {
	t.Helper()
	n, err := node.Open(node.Config{RestartLease: 10 * time.Minute}, raftlog.Opener(raftlog.Config{Dir: dir}, &journal))
	if err != nil {
		t.Fatal(err)
	}
	closeNode = func() {
		if err := n.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	t.Cleanup(closeNode)
	return n, journal, closeNode
}

// do carries a command out that must succeed.
func do(t *testing.T, n *node.Node, c lock.Command) lock.Outcome {
	t.Helper()
	o, err := n.Call(t.Context(), c)
	if err != nil || o.Code != lock.OK {
		t.Fatalf("%T: %v, %v", c, o.Code, err)
	}
	return o
}

var secret = lock.SecretHash{0xde, 0xad, 0xbe, 0xef, 1, 2, 3}

// key is a whole key that must not be seen.
var key = lock.Key{0xca, 0xfe, 0xba, 0xbe, 0x0b, 0xad, 0xf0, 0x0d, 1, 2, 3, 4, 5, 6, 7, 8}

// fill takes locks: in a session that lives by calls, and outside sessions.
func fill(t *testing.T, n *node.Node) (session lock.SessionNumber) {
	t.Helper()
	session = do(t, n, &lock.Open{Secret: secret, TTL: 20 * lock.Second, Info: &lock.Info{Host: "db-1", User: "ops", PID: 7}}).Session
	caller := lock.Caller{Session: session, Proof: &secret, RequestID: "r1", Attempt: 1}
	do(t, n, &lock.Acquire{Caller: caller, Items: []lock.Item{{Name: "in a session"}}, Note: &lock.Note{
		Reason: "nightly", Labels: []lock.Label{{Key: "team", Value: "db"}}, Value: []byte("v\x00"),
	}})
	do(t, n, &lock.Acquire{Items: []lock.Item{{Name: "outside", Size: 3, Permits: 2}}, Lease: 10 * lock.Minute, Key: key})
	do(t, n, &lock.Acquire{Items: []lock.Item{{Name: "gone"}}, Lease: lock.Minute, Key: lock.Key{9}})
	do(t, n, &lock.Release{Hold: lock.Hold{Name: "gone", Key: lock.Key{9}}})
	return session
}

// filled is a data directory with something in it.
func filled(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	n, _, closeNode := open(t, dir)
	fill(t, n)
	closeNode()
	return dir
}

// saved is the snapshot of a directory.
func saved(t *testing.T, dir string) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := archive.Save(dir, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(t *testing.T, file []byte) *archive.Snapshot {
	t.Helper()
	s, err := archive.Read(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// dumped are the parts of a directory, as documents and in words.
func dumped(t *testing.T, dir string) (all []json.RawMessage, words string) {
	t.Helper()
	var b strings.Builder
	err := archive.Dump(dir, func(p archive.Part) error {
		text, err := document.Append(nil, p.Document)
		all = append(all, text)
		b.WriteString(p.Words() + "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, b.String()
}

// diary keeps what is logged.
type diary struct{ bytes.Buffer }

func (d *diary) logger() *slog.Logger { return slog.New(slog.NewTextHandler(d, nil)) }

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

var background = context.Background()
