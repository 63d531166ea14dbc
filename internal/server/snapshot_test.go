package server_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/archive"
)

// failing takes so many bytes and then no more.
type failing struct {
	room int
	err  error
}

func (f *failing) Write(b []byte) (int, error) {
	if len(b) > f.room {
		return 0, f.err
	}
	f.room -= len(b)
	return len(b), nil
}

// The client gets whole snapshots of a server with a data directory, and hears how
// that is; of one in memory it hears that there is nothing to save.
func TestSnapshotsForClients(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	c, err := ldlm.Dial(startPorts(t, durably(dir)).clients)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l, err := c.Lock(t.Context(), "held")
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := c.Admin().SaveSnapshot(t.Context(), &file); err != nil {
		t.Fatal(err)
	}
	s, err := archive.Read(bytes.NewReader(file.Bytes()))
	if err != nil || s.Document().Holds != 1 {
		t.Errorf("got %+v, %v", s, err)
	}
	broken := errors.New("broken")
	if err := c.Admin().SaveSnapshot(t.Context(), &failing{room: 10, err: broken}); !errors.Is(err, broken) {
		t.Errorf("into what is broken: %v", err)
	}
	status, err := c.Admin().Status(t.Context())
	if err != nil || !status.Durable || status.DataDirectory == nil {
		t.Fatalf("status: %+v, %v", status, err)
	}
	if d := status.DataDirectory; d.Path != dir || d.Bytes == 0 || d.Room == ldlm.RoomNone || d.SnapshotEntry == 0 || d.SnapshotTime.IsZero() || d.LastEntry < d.SnapshotEntry {
		t.Errorf("the directory is %+v", d)
	}
	if err := l.Release(t.Context()); err != nil {
		t.Fatal(err)
	}

	inMemory, err := ldlm.Dial(startPorts(t).clients)
	if err != nil {
		t.Fatal(err)
	}
	defer inMemory.Close()
	if err := inMemory.Admin().SaveSnapshot(t.Context(), &file); !errors.Is(err, ldlm.ErrUnsupported) {
		t.Errorf("in memory: %v", err)
	}
}
