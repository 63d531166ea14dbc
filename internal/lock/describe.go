package lock

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Describe renders the state in words, in one fixed order: the form that tests
// compare and people read. Keys are shortened.
func (t *Table) Describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "time %s", t.now)
	if t.quiet() {
		fmt.Fprintf(&b, ", quiet for %s", Duration(t.quietUntil-t.now))
	}
	b.WriteByte('\n')
	t.describeLocks(&b)
	t.describeSessions(&b)
	t.describeMembers(&b)
	return b.String()
}

func (t *Table) describeLocks(b *strings.Builder) {
	ids := liveIDs(&t.locks, func(l *lockRow) bool { return l.live })
	slices.SortFunc(ids, func(x, y lockID) int {
		return strings.Compare(t.locks.at(x).name, t.locks.at(y).name)
	})
	for _, id := range ids {
		v := t.viewLock(id, 1<<30, 1<<30)
		b.WriteString(v.String())
	}
}

// String describes a lock with its holders and its queue, a line each.
func (v LockView) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "lock %q %s", v.Name, v.State())
	if v.Fence != 0 {
		fmt.Fprintf(&b, ", fence %d", v.Fence)
	}
	if v.FreeBehindHead > 0 {
		fmt.Fprintf(&b, ", %d free for the first in the queue alone", v.FreeBehindHead)
	}
	b.WriteByte('\n')
	for i := range v.Holders {
		fmt.Fprintf(&b, "  %s\n", v.Holders[i])
	}
	for i := range v.Waiters {
		fmt.Fprintf(&b, "  %d. %s\n", i+1, v.Waiters[i])
	}
	return b.String()
}

// State says in a few words what is going on at a lock.
func (v *LockView) State() string {
	switch {
	case v.Idle >= 0:
		return fmt.Sprintf("idle for %s (size %d)", v.Idle, v.Size)
	case v.Shared > 0:
		return fmt.Sprintf("shared by %d (size %d)", v.Shared, v.Size)
	case v.Size > 1:
		return fmt.Sprintf("held %d of %d", v.Held, v.Size)
	case v.Held > 0:
		return "held (size 1)"
	default:
		return fmt.Sprintf("free (size %d)", v.Size)
	}
}

// String describes a hold.
func (v HoldView) String() string {
	var b strings.Builder
	switch {
	case v.Delay:
		b.WriteString("shut")
	case v.Session == 0:
		b.WriteString("held outside sessions")
	default:
		fmt.Fprintf(&b, "held by %s", who(v.Session, v.Info))
	}
	fmt.Fprintf(&b, " %s token %d", shape(v.Mode, v.Permits), v.Token)
	if v.Delay {
		fmt.Fprintf(&b, " for %s more", v.LeaseLeft)
		return b.String()
	}
	fmt.Fprintf(&b, " key %s for %s", v.Key.Short(), v.Age)
	if v.LeaseLeft >= 0 {
		fmt.Fprintf(&b, ", lease %s left", v.LeaseLeft)
	}
	if v.Revoked {
		b.WriteString(", revoked")
	}
	if v.Note != nil {
		if v.Note.Reason != "" {
			fmt.Fprintf(&b, ", %q", v.Note.Reason)
		}
		for _, l := range v.Note.Labels {
			fmt.Fprintf(&b, ", %s=%q", l.Key, l.Value)
		}
		if len(v.Note.Value) > 0 {
			fmt.Fprintf(&b, ", value %q", v.Note.Value)
		}
	}
	return b.String()
}

// String describes a waiting request.
func (v WaitView) String() string {
	var b strings.Builder
	name := "a caller outside sessions"
	if v.Session != 0 {
		name = who(v.Session, v.Info)
	}
	fmt.Fprintf(&b, "%s waits for %s since %s", name, shape(v.Mode, v.Permits), v.Age)
	if v.NumNames > 1 {
		fmt.Fprintf(&b, ", with %d more locks", v.NumNames-1)
	}
	if v.GivesUp >= 0 {
		fmt.Fprintf(&b, ", gives up in %s", v.GivesUp)
	}
	return b.String()
}

func (t *Table) describeSessions(b *strings.Builder) {
	ids := liveIDs(&t.sessions, func(s *sessionRow) bool { return s.live })
	slices.SortFunc(ids, func(x, y sessionID) int {
		return int(int64(t.sessions.at(x).number) - int64(t.sessions.at(y).number))
	})
	for _, id := range ids {
		if id != t.outside {
			fmt.Fprintf(b, "%s\n", t.viewSession(t.sessions.at(id)))
		}
	}
}

// String describes a session.
func (v SessionView) String() string {
	state := fmt.Sprintf("attached to incarnation %d as %d", v.Incarnation, v.Attach)
	if !v.Attached {
		state = fmt.Sprintf("%s left", v.Left)
	}
	return fmt.Sprintf("session %s: ttl %s, %s, %d holds, %d waits", who(v.Number, v.Info), v.TTL, state, v.Holds, v.Waits)
}

func (t *Table) describeMembers(b *strings.Builder) {
	ids := liveIDs(&t.members, func(m *memberRow) bool { return m.live })
	slices.SortFunc(ids, func(x, y memberID) int {
		return strings.Compare(t.members.at(x).name, t.members.at(y).name)
	})
	for _, id := range ids {
		m := t.members.at(id)
		fmt.Fprintf(b, "member %q incarnation %d: lease %s left, %d sessions\n",
			m.name, m.number, Duration(m.deadline-t.now), m.sessionCount)
	}
}

// who names a session as people know it.
func who(n SessionNumber, i *Info) string {
	s := fmt.Sprint(uint64(n))
	if i == nil || i.Host == "" && i.User == "" {
		return s
	}
	s += " (" + i.User
	if i.Host != "" {
		s += "@" + i.Host
	}
	if i.PID != 0 {
		s += fmt.Sprintf(" pid %d", i.PID)
	}
	return s + ")"
}

func shape(m Mode, permits uint32) string {
	if m == Shared {
		return "shared"
	}
	if permits == 1 {
		return "1 permit"
	}
	return fmt.Sprintf("%d permits", permits)
}

// Short returns the first 8 characters of a key, all that others may see.
func (k Key) Short() string { return fmt.Sprintf("%x", k[:4]) }

// String returns a key as the canonical UUID of 36 characters.
func (k Key) String() string {
	b := make([]byte, 0, 36)
	b = hex.AppendEncode(b, k[:4])
	for _, part := range [...][]byte{k[4:6], k[6:8], k[8:10], k[10:]} {
		b = hex.AppendEncode(append(b, '-'), part)
	}
	return string(b)
}

// String renders an instant as the time since the table's birth.
func (t Time) String() string { return Duration(t).String() }

// String renders a span in the largest unit that needs no fraction: 90s, 1500ms, 7µs.
func (d Duration) String() string {
	switch {
	case d == 0:
		return "0s"
	case d%Second == 0:
		return fmt.Sprintf("%ds", d/Second)
	case d%Millisecond == 0:
		return fmt.Sprintf("%dms", d/Millisecond)
	default:
		return fmt.Sprintf("%dµs", int64(d))
	}
}
