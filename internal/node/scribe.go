package node

import (
	"context"
	"log/slog"
	"sync"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// scribe logs what ends without its holder's will: leases, sessions with what
// they held, and what an administrator ended. It writes on a goroutine of its
// own, since an Apply waits for nobody, least of all for a disk; grants and
// releases cost it a look at their type.
type scribe struct {
	log  *slog.Logger
	more chan struct{} // room for one

	mu     sync.Mutex // held for copying notes
	notes  []note
	missed int // notes that there was no room for
}

// maxNotes is how many notes wait to be written. Beyond that they are counted.
const maxNotes = 2048

// A note is what the log says of an event.
type note struct {
	typ     lock.EventType
	reason  lock.EndReason
	session lock.SessionNumber
	name    string
	key     lock.Key // no more of it than may be shown
	held    lock.Duration
	text    string
	// rest is set at the end of a session that spoke REST.
	rest bool
}

// transportREST is what sessions call their transport that live by REST requests.
const transportREST = "rest"

func newScribe(log *slog.Logger) *scribe { return &scribe{log: log, more: make(chan struct{}, 1)} }

// notable reports whether an event is worth a line.
func notable(e *lock.Event) bool {
	switch e.Type {
	case lock.HoldExpired, lock.HoldForced, lock.SessionEnded:
		return true
	case lock.HoldReleased:
		return e.Reason == lock.SessionClosed
	default:
		return false
	}
}

// take notes the events of an entry; it is called within Apply. That is done
// where the entry was proposed: a member that follows has nothing to tell, nor
// has one that reads what happened in an earlier life.
func (s *scribe) take(ctx context.Context, events []lock.Event) {
	for i := range events {
		if notable(&events[i]) {
			if s.log.Enabled(ctx, slog.LevelInfo) {
				s.note(events[i:])
			}
			return
		}
	}
}

// note notes those that are notable.
func (s *scribe) note(events []lock.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range events {
		e := &events[i]
		switch {
		case !notable(e):
		case len(s.notes) == maxNotes:
			s.missed++
		default:
			n := note{typ: e.Type, reason: e.Reason, session: e.Session, name: e.Name, held: e.Held, text: e.Text}
			n.rest = e.Type == lock.SessionEnded && e.Info != nil && e.Info.Transport == transportREST
			copy(n.key[:4], e.Key[:])
			s.notes = append(s.notes, n)
		}
	}
	signal(s.more)
}

// run writes until ctx ends, and then what is left.
func (s *scribe) run(ctx context.Context) {
	for {
		select {
		case <-s.more:
			s.write(ctx)
		case <-ctx.Done():
			s.write(context.WithoutCancel(ctx))
			return
		}
	}
}

// write writes all notes down. The holds of a session come right before its
// end, all in one entry.
func (s *scribe) write(ctx context.Context) {
	s.mu.Lock()
	notes, missed := s.notes, s.missed
	s.notes, s.missed = nil, 0
	s.mu.Unlock()
	for begin := 0; begin < len(notes); {
		end := begin
		for end < len(notes)-1 && notes[end].typ != lock.SessionEnded && notes[end+1].session == notes[begin].session {
			end++
		}
		if n := &notes[end]; n.typ == lock.SessionEnded && n.session == notes[begin].session {
			s.writeSession(ctx, n, notes[begin:end])
		} else {
			s.writeHolds(ctx, notes[begin:end+1])
		}
		begin = end + 1
	}
	if missed > 0 {
		s.log.WarnContext(ctx, "More holds and sessions have ended at once than are logged", "missing", missed)
	}
}

// writeSession writes the end of a session down, with the holds that it had. A
// session that was closed with nothing in its hands is no news.
func (s *scribe) writeSession(ctx context.Context, end *note, holds []note) {
	own := holds[:0]
	for _, h := range holds {
		if h.reason == end.reason {
			own = append(own, h)
		} else {
			s.writeHolds(ctx, []note{h})
		}
	}
	if len(own) == 0 && end.reason == lock.SessionClosed {
		return
	}
	if end.rest && end.reason == lock.SessionExpired {
		s.log.InfoContext(ctx, "REST session timeout", "rest_session_id", uint64(end.session))
	}
	s.log.InfoContext(ctx, "Client session cleanup", "session_id", uint64(end.session), "num_locks", len(own), "reason", end.reason.String())
	for i := range own {
		s.log.InfoContext(ctx, "Unlocked during client session cleanup", own[i].attrs()...)
	}
}

// writeHolds writes the ends of holds down whose sessions go on.
func (s *scribe) writeHolds(ctx context.Context, holds []note) {
	for i := range holds {
		switch h := &holds[i]; h.typ {
		case lock.HoldExpired:
			s.log.InfoContext(ctx, "Lock timer timeout", h.attrs()...)
		case lock.HoldForced:
			s.log.InfoContext(ctx, "Lock released by force", append(h.attrs(), "reason", h.text)...)
		default:
			// Without the session's end it is the client's own doing.
		}
	}
}

func (n *note) attrs() []any {
	return []any{
		slog.String("lock", n.name), slog.String("key", n.key.Short()),
		slog.Uint64("session_id", uint64(n.session)), slog.String("held", timeOf(n.held).String()),
	}
}
