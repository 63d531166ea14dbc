package cli

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/document"
)

// now is the moment of everything that is shown here.
var now = time.Date(2026, 11, 22, 10, 4, 25, 102_000_000, time.UTC)

// ops is a client as it is told of.
func ops(host string, pid int) ldlm.ClientInfo {
	return ldlm.ClientInfo{
		Host: host, PID: pid, User: "ops", Program: "backup.sh", Library: "ldlm 2.0.0", Remote: "10.0.0.21:50412", Transport: "plain",
		Principal: "backups",
	}
}

// backup is a lock with a queue and events.
func backup() ldlm.LockInfo {
	return ldlm.LockInfo{
		Name: "nightly-backup", Size: 1, Held: 1, Fence: 1795551502208817, HolderCount: 1, WaiterCount: 3, Idle: -1,
		Holders: []ldlm.Holder{{
			Token: 1795551502208817, Session: 7, Client: ops("db-1", 4121), Age: 134 * time.Second, LeaseLeft: 22 * time.Second,
			Permits: 1, Reason: "weekly full backup", Labels: map[string]string{"team": "db", "env": "prod"}, Value: []byte("at 41%"), KeyPrefix: "6b0ad1b4",
		}},
		Waiters: []ldlm.Waiter{
			{Session: 8, Client: ops("db-2", 911), Age: 63 * time.Second, GivesUpIn: -1, Permits: 1, Names: 2},
			{Session: 9, Client: ldlm.ClientInfo{Host: "runner-9", PID: 77}, Age: 12 * time.Second, GivesUpIn: 588 * time.Second, Permits: 1, Shared: true, Reason: "check"},
			{Client: ldlm.ClientInfo{Remote: "10.0.3.9:51244", Transport: "redis"}, Age: 800 * time.Millisecond, GivesUpIn: 5 * time.Second, Permits: 1},
		},
		Events: []ldlm.Event{
			{
				Number: 40, Type: ldlm.EventReleased, Time: now.Add(-147 * time.Second), Name: "nightly-backup", Session: 3, Client: ops("db-3", 5),
				Token: 1795551502208001, Reason: ldlm.ReasonReleased, Held: 3542 * time.Second, Permits: 1,
			},
			{
				Number: 42, Type: ldlm.EventAcquired, Time: now.Add(-134 * time.Second), Name: "nightly-backup", Session: 7, Client: ops("db-1", 4121),
				Token: 1795551502208817, Permits: 1,
			},
		},
	}
}

// locks are of all kinds that ls tells apart.
func locks() document.Locks {
	slots := ldlm.LockInfo{Name: "es-slots", Size: 10, Held: 8, HolderCount: 8, WaiterCount: 14, FreeBehindHead: 2, Idle: -1}
	for i := range 8 {
		slots.Holders = append(slots.Holders, ldlm.Holder{
			Token: uint64(100 + i), Session: 5, Client: ops("app-1", 41), Age: time.Minute, LeaseLeft: -1, Permits: 1,
		})
	}
	slots.Waiters = []ldlm.Waiter{{Session: 6, Client: ops("app-2", 17), Age: time.Second, GivesUpIn: -1, Permits: 5}}
	shared := ldlm.LockInfo{
		Name: "catalog", Size: 1, SharedHolds: 2, Fence: 90, HolderCount: 2, Idle: -1,
		Holders: []ldlm.Holder{
			{Token: 91, Session: 5, Client: ops("app-1", 41), Age: time.Hour, LeaseLeft: -1, Permits: 1, Shared: true},
			{Token: 92, Session: 6, Client: ops("app-2", 17), Age: time.Minute, LeaseLeft: -1, Permits: 1, Shared: true},
		},
	}
	delayed := ldlm.LockInfo{
		Name: "shut", Size: 1, Held: 1, Fence: 99, HolderCount: 1, Idle: -1,
		Holders: []ldlm.Holder{{Token: 99, Session: 4, Client: ops("app-3", 8), Age: 10 * time.Second, LeaseLeft: 20 * time.Second, Permits: 1, Delay: true}},
	}
	nasty := ldlm.LockInfo{
		Name: "漢字\n\x1b[31mred\u202e", Size: 1, Held: 1, Fence: 93, HolderCount: 1, Idle: -1,
		Holders: []ldlm.Holder{{Token: 93, Session: 6, Client: ops("ho\x07st", 1), Age: time.Second, LeaseLeft: -1, Permits: 1, Reason: "a\tb"}},
	}
	list := document.Locks{Time: document.Time(now), Locks: []document.Lock{}}
	for _, l := range []ldlm.LockInfo{
		shared, slots, {Name: "idle", Size: 1, Idle: 3 * time.Minute}, {Name: "idle-slots", Size: 4, Idle: 4 * time.Minute},
		{Name: "next", Size: 1, Idle: -1, WaiterCount: 1, Waiters: []ldlm.Waiter{{Session: 5, GivesUpIn: -1, Permits: 1}}},
		backup(), delayed, nasty,
	} {
		l.Events = nil
		list.Locks = append(list.Locks, lockDocument(l, now))
	}
	left, ms := document.Span(4 * time.Second)
	list.Locks[7].Holders[0].SessionLeft, list.Locks[7].Holders[0].SessionLeftMS = left, ms
	return list
}

// locksView is what ls shows of locks.
func locksView(all []document.Lock) view {
	list := (&lsCommand{sort: sortName}).list()
	var elements []element
	for _, l := range all {
		elements = append(elements, lockElement(l, sortNone))
	}
	return mustView(list, elements)
}

// sessionsView is what sessions ls shows.
func sessionsView(all []document.Session) view {
	var elements []element
	for _, s := range all {
		elements = append(elements, sessionElement(s))
	}
	return mustView(sessionList(nil), elements)
}

// mustView is the view of some elements in their order.
func mustView(l *list, all []element) view {
	l.unsorted = true
	v, err := l.view(now, all)
	if err != nil {
		panic(err)
	}
	return v
}

// sessions are an attached one and a detached one.
func sessions() []document.Session {
	return []document.Session{
		sessionDocument(ldlm.SessionInfo{
			Number: 7, Client: ops("db-1", 4121), TTL: 10 * time.Second, Attached: true, Left: -1, Holds: 3, Waits: 1, Age: time.Hour,
			LastHeard: 1200 * time.Millisecond, Value: []byte{0, 'x'},
			Held: []ldlm.SessionHold{
				{Name: "nightly-backup", Holder: backup().Holders[0]},
				{Name: "catalog", Holder: ldlm.Holder{Token: 91, Session: 7, Age: time.Hour, LeaseLeft: -1, Permits: 1, Shared: true}},
				{Name: "es-slots", Holder: ldlm.Holder{Token: 101, Session: 7, Age: time.Minute, LeaseLeft: -1, Permits: 5, Revoked: true}},
			},
			Waiting: []ldlm.SessionWait{{Name: "a b", Waiter: ldlm.Waiter{Session: 7, Age: time.Second, GivesUpIn: time.Minute, Permits: 1}}},
		}, now),
		sessionDocument(ldlm.SessionInfo{
			Number: 12, Client: ldlm.ClientInfo{Remote: "10.0.3.9:51244", Transport: "grpc"}, TTL: time.Minute, Left: 42 * time.Second,
			Age: 26 * time.Hour, LastHeard: -1,
		}, now),
	}
}

// shown are all views that a server is asked for.
func shown() map[string]view {
	list := locks()
	one := lockDocument(backup(), now)
	status := ldlm.ServerStatus{
		Version: "2.0.0", Uptime: 26 * time.Hour, Leads: true, Locks: 12, Held: 6, Contended: 1, Holds: 16, Waiters: 1,
		Sessions: 3, Attached: 2, Token: 1795551502208817, Refusals: &ldlm.Refusals{},
	}
	follower := status
	follower.Member, follower.Leads, follower.Leader, follower.Durable, follower.Draining = "b", false, "ldlm-1:3144", true, false
	follower.Refusals = &ldlm.Refusals{Missing: 3, Wrong: 120, TooMany: 40, Denied: 2, Handshake: 1,
		Limits: &ldlm.LimitRefusals{ByField: map[string]uint64{"waiters_of_principal": 7, "connections": 12}}}
	follower.DataDirectory = &ldlm.DataDirectory{
		Path: "/var/lib/ldlm", Bytes: 33_554_432, FreeBytes: 61_203_283_968, TotalBytes: 105_088_212_992, RefuseBelow: 33_619_968,
		Room: ldlm.RoomEnough, LastEntry: 412, SnapshotEntry: 300, SnapshotBytes: 4_812, SnapshotTime: now.Add(-time.Hour),
		SlowestSync: 12 * time.Millisecond, SyncDeadline: 10 * time.Second,
	}
	filling, full := follower, follower
	little, none := *follower.DataDirectory, *follower.DataDirectory
	little.Room, little.FreeBytes, little.SnapshotTime, little.SnapshotEntry = ldlm.RoomLittle, 100_000_000, time.Time{}, 0
	none.Room, none.FreeBytes = ldlm.RoomNone, 1_000
	filling.DataDirectory, full.DataDirectory, full.QuietLeft = &little, &none, 72*time.Second
	filling.ReloadFailed = 3 * time.Minute
	cluster, removed := follower, follower
	cluster.Cluster = &ldlm.Cluster{Members: []ldlm.ServerMember{
		{Name: "a", Address: "h1:3147", Votes: true, Leads: true, Answers: true, Version: "1.2.0"},
		{Name: "b", Address: "h2:3147", Votes: true, Answers: true, Version: "1.2.0", EntriesBehind: 3},
	}}
	removed.Cluster = &ldlm.Cluster{Members: cluster.Cluster.Members[:1]}
	views := map[string]view{
		"ls":             locksView(list.Locks),
		"ls_empty":       locksView(nil),
		"get":            lockView(one),
		"get_shared":     lockView(list.Locks[0]),
		"get_size":       lockView(list.Locks[1]),
		"get_idle":       lockView(list.Locks[2]),
		"get_free":       lockView(list.Locks[4]),
		"get_delay":      lockView(list.Locks[6]),
		"get_nasty":      lockView(list.Locks[7]),
		"sessions_ls":    sessionsView(sessions()),
		"sessions_get":   sessionView(sessions()[0]),
		"session_left":   sessionView(sessions()[1]),
		"status":         statusView(statusDocument(status, "127.0.0.1:3144")),
		"status_other":   statusView(statusDocument(follower, "ldlm-2:3144")),
		"status_filling": statusView(statusDocument(filling, "ldlm-2:3144")),
		"status_full":    statusView(statusDocument(full, "ldlm-2:3144")),
		"status_cluster": statusView(statusDocument(cluster, "ldlm-2:3144")),
		"status_removed": statusView(statusDocument(removed, "ldlm-2:3144")),
		"snapshot":       snapshotView(snapshotShown(), func() string { return "time 7s\nlock \"a\" held (size 1)\n  held by 7 (\x1b@h) 1 permit\n" }),
		"snapshot_restored": restoredView(document.Restored{
			Directory: "/var/lib/ldlm 2", Snapshot: snapshotShown(), Quiet: "1m15s", QuietMS: ms(75_000),
			MayOutlast: snapshotShown().OutsideSessions, LongSessions: 1,
		}),
		"ping":        pongView(pongDocument("127.0.0.1:3144", 1865400*time.Nanosecond, 194*time.Microsecond)),
		"event":       eventView(eventDocument(backup().Events[0])),
		"event_reset": eventView(document.Event{Type: document.Reset, Time: document.Time(now)}),
		"context_ls": contextsView(&contexts{Current: "prod", Contexts: map[string]connection{
			"dev":  {Address: "127.0.0.1:3144"},
			"prod": {Address: "a:3144,b:3144", TLSCA: "/etc/ca.pem", TLSCert: "/etc/me.pem", TLSKey: "/etc/me.key", PasswordFile: "/etc/secret"},
		}}),
	}
	return views
}

func ms(n int64) *int64 { return new(n) }

func snapshotShown() document.Snapshot {
	d := document.Snapshot{
		File: "ldlm.snap", Cluster: "724dd76c7f920af7", Members: []string{"local"}, Created: document.Time(now), Entry: "12", Term: "3",
		Counts: document.Counts{Locks: 24, Held: 23, Contended: 1, Holds: 23, Waiters: 1, Sessions: 2, Attached: 1}, Token: "1795555164317669",
		Quiet: "7s", QuietMS: ms(7_000),
	}
	for i := range 22 {
		h := document.Holder{Lock: fmt.Sprintf("a\nb/%d", i), Token: document.NumberOf(uint64(1000 + i)), Mode: document.Exclusive, Permits: 1, KeyPrefix: "aa8baaf7"}
		if i%2 == 0 {
			h.Lease, h.LeaseMS = "10m0s", ms(600_000)
		}
		d.OutsideSessions = append(d.OutsideSessions, h)
	}
	return d
}

// Every view in every format.
func TestShown(t *testing.T) {
	for name, v := range shown() {
		t.Run(name, func(t *testing.T) {
			var all bytes.Buffer
			for _, text := range []string{formatTable, formatWide, formatName, formatYAML, formatJSON, goTemplate + "{{range $name, $_ := .}}{{$name}} {{end}}"} {
				fmt.Fprintf(&all, "== -o %s\n", text)
				var f format
				if err := f.Set(text); err != nil {
					t.Fatal(err)
				}
				if err := (&printer{out: &all, format: f}).print(v); err != nil {
					t.Fatal(err)
				}
			}
			golden(t, "shown/"+name+".txt", all.String())
			if i := strings.IndexFunc(strings.ReplaceAll(all.String(), "\n", ""), document.Hidden); i >= 0 {
				t.Errorf("a control character reaches the terminal, after %q", all.String()[:i])
			}
		})
	}
}

// Each of several is a line of JSON, or a document of YAML.
func TestStream(t *testing.T) {
	for text, want := range map[string]string{
		formatJSON:                  `{"time":"2026-11-22T10:04:25.102Z","type":"reset"}` + "\n" + `{"time":"2026-11-22T10:04:25.102Z","type":"reset"}` + "\n",
		formatYAML:                  strings.Repeat("---\ntime: \"2026-11-22T10:04:25.102Z\"\ntype: reset\n", 2),
		goTemplate + "{{.type}}":    "reset\nreset\n",
		goTemplate + "{{.type}}\n":  "reset\nreset\n",
		goTemplate + "{{.missing}}": "<no value>\n<no value>\n",
	} {
		var f format
		if err := f.Set(text); err != nil {
			t.Fatal(err)
		}
		var all bytes.Buffer
		p := &printer{out: &all, format: f, stream: true}
		for range 2 {
			if err := p.print(shown()["event_reset"]); err != nil {
				t.Fatal(err)
			}
		}
		if got := all.String(); got != want {
			t.Errorf("-o %s: got %q, want %q", text, got, want)
		}
	}
}

func TestColored(t *testing.T) {
	var all bytes.Buffer
	for _, name := range []string{"ls", "get", "get_delay", "sessions_get", "session_left", "status", "status_other", "event", "event_reset"} {
		if err := (&printer{out: &all, format: format{name: formatTable}, color: true}).print(shown()[name]); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "shown/colored.txt", strings.ReplaceAll(all.String(), "\x1b", "␛"))
}

// Templates see numbers as numbers; on a terminal what they print is made harmless.
func TestTemplates(t *testing.T) {
	var f format
	if err := f.Set(goTemplate + `{{range .locks}}{{if gt .waiter_count 0}}{{.name}} {{.waiter_count}};{{end}}{{end}}`); err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	if err := (&printer{out: &all, format: f}).print(shown()["ls"]); err != nil {
		t.Fatal(err)
	}
	if got, want := all.String(), "es-slots 14;next 1;nightly-backup 3;\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := f.Set(goTemplate + "{{.name}}"); err != nil {
		t.Fatal(err)
	}
	for terminal, want := range map[bool]string{
		false: "漢字\n\x1b[31mred\u202e\n",
		true:  "漢字\n\\u001b[31mred\\u202e\n",
	} {
		all.Reset()
		if err := (&printer{out: &all, format: f, terminal: terminal}).print(shown()["get_nasty"]); err != nil {
			t.Fatal(err)
		}
		if got := all.String(); got != want {
			t.Errorf("on a terminal %t: got %q, want %q", terminal, got, want)
		}
	}
	for _, bad := range []string{"x", "", "JSON", "go-template", "go-template={{.x", "go-template={{nope}}"} {
		if err := f.Set(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	if err := f.Set(goTemplate + "{{index .locks 99}}"); err != nil {
		t.Fatal(err)
	}
	all.Reset()
	if err := (&printer{out: &all, format: f}).print(shown()["ls"]); err == nil || all.Len() > 0 {
		t.Errorf("it prints %q, %v", all.String(), err)
	}
}
