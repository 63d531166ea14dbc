package server

import (
	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/grpcapi"
	"github.com/ldlm-io/ldlm/internal/journal/raftlog"
)

// directory is a data directory as grpcapi wants it.
type directory struct{ *raftlog.Journal }

// directoryOf returns nil if everything is in memory.
func directoryOf(j *raftlog.Journal) grpcapi.Directory {
	if j == nil {
		return nil
	}
	return directory{j}
}

// Status implements [grpcapi.Directory].
func (d directory) Status() *ldlmv2.DataDirectory {
	s := d.Journal.Status()
	m := &ldlmv2.DataDirectory{
		Path: s.Dir, Bytes: uint64(s.Bytes), FreeBytes: uint64(s.FreeBytes), TotalBytes: uint64(s.TotalBytes),
		RefuseBelowBytes: uint64(s.RefuseBelow), Room: roomOf(&s), LastEntry: s.LastEntry,
		SnapshotEntry: s.SnapshotEntry, SnapshotBytes: uint64(s.SnapshotBytes),
		SlowestSyncUs: s.SlowestSync.Microseconds(), SyncDeadlineUs: s.SyncDeadline.Microseconds(),
	}
	if !s.SnapshotTime.IsZero() {
		m.SnapshotTimeUs = s.SnapshotTime.UnixMicro()
	}
	return m
}

func roomOf(s *raftlog.Status) ldlmv2.DataDirectory_Room {
	switch {
	case s.Full != nil:
		return ldlmv2.DataDirectory_ROOM_NONE
	case s.TotalBytes == 0:
		return ldlmv2.DataDirectory_ROOM_UNSPECIFIED
	case s.FreeBytes < s.WarnBelow:
		return ldlmv2.DataDirectory_ROOM_LITTLE
	default:
		return ldlmv2.DataDirectory_ROOM_ENOUGH
	}
}
