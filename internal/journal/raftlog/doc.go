// Package raftlog is the journal of a member that keeps a data directory: one
// member alone, durable on this machine, or one of several. It puts
// hashicorp/raft and its write-ahead log behind the contract of package journal,
// and no other package imports them.
//
// # The path of a batch
//
//	Propose ---> queue ---> writer ---------> raft ---> segment files
//	 (caller)               closes an entry,   |  write, fsync
//	    ^                   stamps, appends    v
//	    +------------------ settle <--------- FSM: Machine.Apply
//
// Batches that arrive while an entry is being written form the next one, so that
// an fsync serves as many callers as there are. Whoever has the pen, the writer or a
// caller that is alone, closes the entry, then stamps it, then appends it, and never
// stamps what it does not append. Where there is no other member, what is written is committed:
// whoever has the pen writes it and applies it, and raft is given it later (type ahead). A leader that has others writes while
// they do (type tail), and counts what they confirm when it has written.
//
// # Who leads
//
// A lead is established when raft says so, a barrier was applied, and the term is
// the same before and after. Every entry carries the term of its stamp; one that
// was appended in another term lets no time pass, and the lead is established
// anew. A lead also ends while the disk is nearly full, so that time stands still
// for as long as nothing can be written.
//
// # The data directory
//
//	DIR/identity    format, cluster, member; written first, at the end of the birth, and when
//	                a member is met (type Roll)
//	DIR/lock        held while a process uses the directory
//	DIR/log/        segment files, and meta: which segments count, term and vote
//	DIR/snapshots/  the newest snapshot
//
// The segment files are raft-wal's. What it does not do is done around it: every
// entry has a checksum that is verified whenever it is read; all files are verified
// before it opens them, so that damage is told from a write that a crash cut short;
// its own database for what it knows about segments is replaced by a small file
// with a checksum. docs/formats.md has the drawings.
//
// # Failures of the disk
//
// Everything is written through one gate (type disk). It latches: after the first
// error, or after a write that takes longer than its deadline, nothing is written
// any more, whoever waits gets journal.ErrFatal, and the process is to end. A disk
// that is nearly full is no failure: writes are refused before it is full, with
// [ErrDiskFull], and accepted again when there is room.
//
// # Proofs
//
// Tests kill a small life before every operation on a file, let every operation fail
// or hang, flip bytes, cut files and tear writes, and expect the same acknowledged
// state or a refusal with file and offset. LDLM_CRASH_SLOW=1 leaves no byte out. Three
// members on disks that lose what was not synced lose nothing that was acknowledged.
//
// # What it does not know
//
// What a batch contains, what time it is, and who the clients are. Members find
// each other by a transport that the configuration brings.
package raftlog
