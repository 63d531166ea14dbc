package grpcapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/audit"
	"github.com/ldlm-io/ldlm/internal/grpcapi"
	"github.com/ldlm-io/ldlm/internal/journal"
	"github.com/ldlm-io/ldlm/internal/node"
	"github.com/ldlm-io/ldlm/internal/sessionapi"
)

// kept is a directory with this snapshot, which breaks off with an error if there is one.
type kept struct {
	snapshot []byte
	breaks   error
}

func (k *kept) Status() *ldlmv2.DataDirectory { return &ldlmv2.DataDirectory{Path: "/data"} }

func (k *kept) SaveSnapshot(_ context.Context, w io.Writer) error {
	if _, err := w.Write(k.snapshot); err != nil {
		return err
	}
	return k.breaks
}

func (n *native) save() ([]byte, error) {
	s, err := n.SaveSnapshot(n.t.Context(), &ldlmv2.SaveSnapshotRequest{})
	var all []byte
	for err == nil {
		var piece *ldlmv2.SaveSnapshotResponse
		piece, err = s.Recv()
		all = append(all, piece.GetData()...)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return all, err
}

func TestSaveSnapshot(t *testing.T) {
	log := &diary{t: t}
	k := &kept{snapshot: bytes.Repeat([]byte("snapshot"), 100_000)}
	h := open(t, log.at, func(_ *node.Config, c *grpcapi.Config) { c.Directory = k })
	n := h.native()
	if got, err := n.save(); err != nil || !bytes.Equal(got, k.snapshot) {
		t.Errorf("%d bytes of %d, %v", len(got), len(k.snapshot), err)
	}
	if lines := log.lines("WARN", "Snapshot saved"); len(lines) != 1 || lines[0]["bytes"] != float64(len(k.snapshot)) {
		t.Errorf("the log says %v", lines)
	}
	k.breaks = errors.New("of the inside")
	_, err := n.save()
	failedWith(t, "one that breaks off", err, codes.Unavailable, ldlmv2.Code_CODE_UNAVAILABLE)
	s, err := n.ServerStatus(t.Context(), &ldlmv2.ServerStatusRequest{})
	if err != nil || s.GetStorage() != ldlmv2.Storage_STORAGE_DISK || s.GetDataDirectory().GetPath() != "/data" {
		t.Errorf("status: %v, %v", s, err)
	}
}

// Snapshots have the keys of all locks, so it is written down who has had one.
func TestSavedSnapshotsAreAudited(t *testing.T) {
	var written bytes.Buffer
	log, err := audit.Open(audit.ToStderr, &written, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	k := &kept{snapshot: []byte("snapshot")}
	n := open(t, func(_ *node.Config, c *grpcapi.Config) { c.Directory, c.Audit = k, log }).native()
	if _, err := n.save(); err != nil {
		t.Error(err)
	}
	k.breaks = errors.New("of the inside")
	if _, err := n.save(); err == nil {
		t.Error("half a snapshot is taken for a whole one")
	}
	if err := log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	type line struct {
		Action string `json:"action"`
		Error  string `json:"error"`
		Actor  struct {
			Via    string `json:"via"`
			Remote string `json:"remote"`
		} `json:"actor"`
		After audit.Saved `json:"after"`
	}
	lines := make([]line, 2)
	d := json.NewDecoder(&written)
	for i := range lines {
		if err := d.Decode(&lines[i]); err != nil {
			t.Fatal(err)
		}
		if l := lines[i]; l.Action != "snapshot_save" || l.Actor.Via != "grpc" || l.Actor.Remote == "" {
			t.Errorf("got %+v", l)
		}
	}
	if lines[0].Error != "" || lines[0].After.Bytes != int64(len(k.snapshot)) || lines[1].Error != "of the inside" || d.More() {
		t.Errorf("got %+v", lines)
	}
}

func TestNothingToSave(t *testing.T) {
	_, err := open(t).native().save()
	failedWith(t, "in memory", err, codes.Unimplemented, ldlmv2.Code_CODE_UNSUPPORTED)
}

// Who is refused for want of room on the server's disk is told so.
func TestDiskFull(t *testing.T) {
	m := &moody{}
	h := open(t, func(_ *node.Config, c *grpcapi.Config) { c.Node = m })
	full := fmt.Errorf("%w: %w", journal.ErrRefused, journal.ErrDiskFull)
	m.before = full
	_, err := h.native().OpenSession(t.Context(), &ldlmv2.OpenSessionRequest{Secret: make([]byte, 16)})
	failedWith(t, "v2", err, codes.Unavailable, ldlmv2.Code_CODE_UNAVAILABLE)
	if got := status.Convert(err).Message(); got != sessionapi.DiskFull {
		t.Errorf("v2: %q", got)
	}
	c := h.client()
	m.before = full
	_, err = c.TryLock(t.Context(), &ldlmv1.TryLockRequest{Name: "l"})
	if got := status.Convert(err); got.Code() != codes.Unavailable || got.Message() != sessionapi.DiskFull {
		t.Errorf("v1: %v", err)
	}
}
