package raftlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// examineLog verifies all files of a log and finishes what a crash has interrupted:
// it clears a write that was cut short, completes the change to a new segment file,
// and removes files that do not count. It calls each, if not nil, for every entry.
// With repair unset it changes nothing.
func examineLog(d *disk, dir string, repair bool, each func(*raft.Log) error) (*metaFile, error) {
	meta, err := openMeta(d, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, damaged(filepath.Join(dir, "meta"), 0, "the file is missing")
	}
	if err != nil {
		return nil, err
	}
	log := meta.state.Log
	for i, info := range log.Segments {
		last := i == len(log.Segments)-1
		scan, err := examineSegment(d, dir, info, last, repair, each)
		if err != nil {
			return nil, err
		}
		if last && info.SealTime.IsZero() && scan.indexStart != 0 && repair {
			if err := meta.CommitState(changeSegment(log, scan)); err != nil {
				return nil, err
			}
		}
	}
	if !repair {
		return meta, nil
	}
	return meta, removeStrays(dir, meta.segments())
}

// examineSegment verifies one segment file. The last one may end with a write that
// was cut short.
func examineSegment(d *disk, dir string, info types.SegmentInfo, last, repair bool, each func(*raft.Log) error) (segmentScan, error) {
	path := filepath.Join(dir, segment.FileName(info))
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return segmentScan{}, damaged(path, 0, "the file is missing")
	}
	if err != nil {
		return segmentScan{}, err
	}
	inRange := each
	if each != nil {
		inRange = func(l *raft.Log) error {
			if l.Index < info.MinIndex || info.MaxIndex != 0 && l.Index > info.MaxIndex {
				return nil // cut off, and no part of the log any more
			}
			return each(l)
		}
	}
	scan, err := scanSegment(path, b, info, inRange)
	if err != nil {
		return scan, err
	}
	sealed := !info.SealTime.IsZero()
	switch {
	case sealed && (scan.indexStart != info.IndexStart || info.BaseIndex+uint64(scan.count) <= info.MaxIndex):
		return scan, damaged(path, scan.end, "its end is missing: it had entries up to %d", info.MaxIndex)
	case !sealed && !last:
		return scan, damaged(path, scan.end, "it is open, and there are newer segments")
	case scan.torn != 0 && repair:
		return scan, clearTorn(d, path, scan)
	}
	return scan, nil
}

// clearTorn writes zeros over a write that was cut short: nobody was told that it
// had happened, and nothing of it may be taken for a part of a later one.
func clearTorn(d *disk, path string, scan segmentScan) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = d.do(opWrite, path, func() error {
		_, err := f.WriteAt(make([]byte, scan.torn-scan.end), int64(scan.end))
		return err
	})
	if err == nil {
		err = d.do(opSync, path, f.Sync)
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// changeSegment completes the change from a last segment that is full to a new one.
func changeSegment(log types.PersistentState, scan segmentScan) types.PersistentState {
	segments := append([]types.SegmentInfo(nil), log.Segments...)
	full := &segments[len(segments)-1]
	full.SealTime = time.Now() // that it is set says that the segment is sealed, and nothing else
	full.MaxIndex, full.IndexStart = full.BaseIndex+uint64(scan.count)-1, scan.indexStart
	next := types.SegmentInfo{
		ID: log.NextSegmentID, BaseIndex: full.MaxIndex + 1, MinIndex: full.MaxIndex + 1,
		Codec: full.Codec, CreateTime: full.SealTime, SizeLimit: full.SizeLimit,
	}
	return types.PersistentState{NextSegmentID: log.NextSegmentID + 1, Segments: append(segments, next)}
}

// removeStrays removes segment files that are not listed: they were about to be
// listed, or to be deleted.
func removeStrays(dir string, segments []types.SegmentInfo) error {
	if err := removeTemporary(dir); err != nil {
		return err
	}
	listed := map[string]bool{}
	for _, info := range segments {
		listed[segment.FileName(info)] = true
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list %s: %w", dir, err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".wal") || listed[e.Name()] {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
