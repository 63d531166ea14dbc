package raftlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// Open opens the data directory, verifies everything in it and starts the journal
// that drives m. If another process uses the directory, if it belongs to another
// member, cluster or a newer version, or if something in it is damaged, nothing is
// changed and the error says what to do.
//
// What the snapshot has is restored when Open returns; the rest of the backlog is
// applied when the lead is taken, so that [Journal.Barrier] and [Journal.Lead] wait
// for it.
func Open(c Config, m journal.Machine) (*Journal, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	dir, err := openDirectory(c.Dir)
	if err != nil {
		return nil, err
	}
	j := &Journal{
		cfg: c, log: c.Logger, machine: m, dir: dir, disk: newDisk(c.Logger, c.WriteDeadline, c.fault),
		notify: make(chan bool, 16), doubt: make(chan struct{}, 1), written: make(chan struct{}),
		snapshotNow: make(chan chan error), changed: make(chan struct{}), queue: newQueue(c.MaxEntryBytes, c.MaxInFlight),
		ahead: newAhead(), sent: newSent(), leaderless: time.Now(),
	}
	j.roll = &Roll{journal: j, entries: map[string]uint64{}}
	j.fsm = &fsm{journal: j, machine: m, more: make(chan struct{}, 1)}
	j.stopped, j.stop = context.WithCancel(context.Background())
	if err := j.open(); err != nil {
		if failed := j.disk.check(); failed != nil {
			err = failed // it says more than what the library made of it
		}
		j.stop()
		if j.cfg.Streams != nil && j.cfg.Transport != nil {
			closeTransport(j.cfg.Transport)
		}
		if j.store != nil {
			j.store.close()
		}
		dir.close()
		j.disk.running.rest()
		return nil, err
	}
	return j, nil
}

// open reads the directory and starts everything.
func (j *Journal) open() error {
	dir := j.dir
	if err := dir.claim(j.disk, j.cfg.Cluster, j.cfg.Member); err != nil {
		return err
	}
	dir.warnIfOpen(j.disk)
	if !dir.Born {
		if err := dir.layOut(j.disk); err != nil {
			return err
		}
	}
	j.snapshots = newSnapshots(j.disk, dir)
	if err := j.openLog(); err != nil {
		return err
	}
	j.snapshots.log = j.store
	j.store.edge = j.snapshots.edge
	if j.cfg.Streams != nil {
		j.cfg.Transport = j.newTransport()
	}
	if j.alone = j.cfg.Transport == nil; j.alone {
		_, j.cfg.Transport = raft.NewInmemTransport(raft.ServerAddress(j.cfg.Member))
	}
	if !dir.Born {
		if err := j.giveBirth(); err != nil {
			return err
		}
	}
	j.lookForSpace()
	return j.start()
}

// openLog verifies log and snapshot, and that they fit together.
func (j *Journal) openLog() error {
	if err := removeTemporary(j.snapshots.dir); err != nil {
		return err
	}
	path, snapshot, err := j.snapshots.examine(nil)
	if err != nil {
		return err
	}
	meta, err := examineLog(j.disk, j.dir.logDir(), true, nil)
	if err != nil {
		return err
	}
	j.store, err = openStore(j.disk, j.dir.logDir(), meta, j.cfg.SegmentBytes, &logWriter{j.log})
	if err != nil {
		return err
	}
	first, last, err := j.store.bounds()
	if err != nil {
		return err
	}
	covered := uint64(0)
	if snapshot != nil {
		covered = snapshot.Index
	}
	switch {
	case last == 0 && snapshot == nil && j.hadData(meta):
		return damaged(j.snapshots.dir, 0, "the snapshot is missing, and the log has no entries either")
	case last == 0:
		return nil
	case first > covered+1:
		return damaged(j.store.pathOf(first), 0, "the log begins with entry %d, and the snapshot %s ends with entry %d: what lies between is missing", first, path, covered)
	case last < covered:
		// A snapshot of another member was installed, and a crash came before the
		// log that it replaces was dropped.
		return j.store.DeleteRange(first, last)
	}
	return nil
}

// hadData reports whether the member of a directory without anything in it must have
// had something: all have from their birth on, but one that joins others.
func (j *Journal) hadData(meta *metaFile) bool {
	segments := meta.segments()
	begun := len(segments) > 0 && segments[0].BaseIndex > 1
	return j.dir.Born && (begun || !j.cfg.Join)
}

// bounds returns the first and the last entry of the log; 0 if it is empty.
func (s *store) bounds() (first, last uint64, err error) {
	if first, err = s.FirstIndex(); err == nil {
		last, err = s.LastIndex()
	}
	return first, last, err
}

// giveBirth completes a new directory.
func (j *Journal) giveBirth() error {
	c := &j.cfg
	if !c.Join {
		err := raft.BootstrapCluster(c.raftConfig(nil, &logWriter{j.log}), j.store, j.store, j.snapshots, c.Transport,
			c.configuration(c.Transport.LocalAddr()))
		if err != nil {
			return fmt.Errorf("begin the log in %s: %w", j.dir.logDir(), err)
		}
		if c.Introduce != nil {
			j.dir.Awaits = c.othersAtFirst()
		}
	}
	j.dir.Born = true
	if err := j.dir.writeIdentity(j.disk); err != nil {
		return err
	}
	j.log.InfoContext(j.stopped, "A new data directory was made", "data_dir", c.Dir, "cluster", j.dir.Cluster, "member", c.Member)
	return nil
}

// start starts raft and the goroutines.
func (j *Journal) start() (err error) {
	rc := j.cfg.raftConfig(j.notify, &logWriter{j.log})
	want := j.cfg.Timing.Heartbeat
	if j.alone {
		rc.HeartbeatTimeout, rc.ElectionTimeout = 2*want, 2*want
	}
	if !j.alone {
		j.store.shared = j.leadsOthers
		j.queue.company.kept = true
	}
	if j.raft, err = newRaft(rc, j); err != nil {
		if j.fsm.unread != nil { // raft says only that there is no snapshot that it could use
			err = j.fsm.unread
		}
		return fmt.Errorf("start from %s: %w", j.cfg.Dir, tooNew(err))
	}
	j.running.Store(true)
	j.disk.atWork.Store(true)
	j.disk.onFail = j.failed
	if err := j.disk.check(); err != nil {
		j.failed(err)
	}
	if j.alone {
		// Nobody else could lead, so there is nobody to wait for: a follower whose
		// time-out gets shorter looks at once whether it is over.
		short := j.raft.ReloadableConfig()
		short.HeartbeatTimeout, short.ElectionTimeout = want, want
		if err := j.raft.ReloadConfig(short); err != nil {
			return errors.Join(err, j.raft.Shutdown().Error())
		}
	}
	j.writing.Go(j.runWriter)
	j.finishing.Go(j.runFollower)
	j.tasks.Go(j.runLead)
	j.tasks.Go(j.runKeeper)
	j.tasks.Go(j.runObserver)
	if j.cfg.Introduce != nil {
		j.cfg.Introduce(j.roll)
	}
	return nil
}

// newRaft starts raft, which panics at some of the errors of the log.
func newRaft(rc *raft.Config, j *Journal) (r *raft.Raft, err error) {
	defer func() {
		if p := recover(); p != nil {
			r, err = nil, fmt.Errorf("raft does not start: %v", p)
		}
	}()
	j.links = &links{Transport: j.cfg.Transport, store: j.store}
	return raft.NewRaft(rc, j.fsm, j.store, j.store, j.snapshots, j.links)
}

// Opener returns a function that opens a journal once there is a machine for it,
// and notes it in *opened.
func Opener(c Config, opened **Journal) func(journal.Machine) (journal.Journal, error) {
	return func(m journal.Machine) (journal.Journal, error) {
		j, err := Open(c, m)
		if err != nil {
			return nil, err
		}
		*opened = j
		return j, nil
	}
}
