package raftlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// spaceEvery is how often the keeper looks how much room there is.
const spaceEvery = time.Second

// runKeeper takes snapshots when they are due or asked for, keeps a spare segment
// file, and watches the room on the disk.
func (j *Journal) runKeeper() {
	t := time.NewTicker(spaceEvery)
	defer t.Stop()
	segments := 1 // a server that does little has enough with the first
	for {
		select {
		case <-t.C:
			j.lookForFiles()
			j.lookForSpace()
			if n := j.segmentsMade(); n != segments && j.makeSpare() {
				segments = n
			}
		case <-j.fsm.more:
			if err := j.takeSnapshot(); err != nil && j.disk.check() == nil {
				j.log.WarnContext(j.stopped, "No snapshot could be taken; the log grows", "data_dir", j.cfg.Dir, "err", err)
			}
		case done := <-j.snapshotNow:
			done <- j.takeSnapshot()
		case <-j.stopped.Done():
			return
		}
	}
}

// lookForFiles finds out that somebody has taken the files away. They can still be
// written to, but the next start would not find what is acknowledged.
func (j *Journal) lookForFiles() {
	err := j.dir.missing()
	if err == nil {
		err = j.store.meta.tailMissing()
	}
	if err != nil {
		j.disk.fail(err)
	}
}

// segmentsMade counts the segment files that were ever made.
func (j *Journal) segmentsMade() int {
	m := j.store.meta
	m.mu.Lock()
	defer m.mu.Unlock()
	return int(m.state.Log.NextSegmentID)
}

// makeSpare makes a segment file in advance once the first one was not enough.
func (j *Journal) makeSpare() bool {
	if room(j.room.Load()) != roomEnough {
		return false
	}
	err := j.store.meta.makeSpare(int64(j.cfg.SegmentBytes))
	if err != nil && j.disk.check() == nil {
		j.log.WarnContext(j.stopped, "No segment file could be made in advance", "data_dir", j.cfg.Dir, "err", err)
	}
	return err == nil
}

// takeSnapshot takes a snapshot, if there is anything new.
func (j *Journal) takeSnapshot() error {
	defer j.fsm.endSnapshot()
	level := j.fsm.beginSnapshot()
	j.giveOwed()
	select {
	case <-level:
	case <-j.disk.failed:
		return j.disk.check()
	}
	err := j.raft.Snapshot().Error()
	if errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return nil
	}
	return err
}

// needs is how much must be free for batches to be accepted, and below how much a
// warning is logged.
func (j *Journal) needs(total int64) (refuse, warn int64) {
	refuse = j.cfg.RefuseFreeBytes + int64(j.cfg.SegmentBytes) + j.fsm.snapshotSize.Load()
	const fifth = 5
	return refuse, max(refuse, min(4*refuse, total/fifth))
}

// lookForSpace warns early that the disk fills, and refuses batches before it is
// full: the log must never meet the end of the disk.
func (j *Journal) lookForSpace() {
	free, total, ok := j.cfg.space(j.cfg.Dir)
	if !ok {
		return
	}
	refuse, warn := j.needs(total)
	state := roomEnough
	switch {
	case free < refuse:
		state = roomNone
	case free < warn:
		state = roomLittle
	}
	before := room(j.room.Swap(int32(state)))
	if state == before {
		return
	}
	j.sayRoom(state, free, refuse)
	var full error
	if state == roomNone {
		full = fmt.Errorf("%w: %s has %d MB free, and %d MB are needed: make room", ErrDiskFull, j.cfg.Dir, free>>20, refuse>>20)
	}
	j.setFull(full)
}

func (j *Journal) sayRoom(state room, free, refuse int64) {
	ctx := context.Background()
	args := []any{"data_dir", j.cfg.Dir, "free_mb", free >> 20, "needed_mb", refuse >> 20}
	switch state {
	case roomNone:
		j.log.ErrorContext(ctx, "The disk is nearly full: everything that changes locks is refused until there is room", args...)
	case roomLittle:
		j.log.WarnContext(ctx, "The disk fills up: below what is needed, everything that changes locks will be refused", args...)
	case roomEnough:
		j.log.InfoContext(ctx, "There is room on the disk again", args...)
	}
}

// room is how much of the disk is free.
type room int32

const (
	roomEnough room = iota
	roomLittle
	roomNone
)
