package main

// sessionFaults break who may speak, and what the end of a connection does.
func sessionFaults() []fault {
	return []fault{
		{"a report about an old connection counts", "session.go",
			"	if !s.attached() || s.attach != c.Attach {",
			"	if !s.attached() {"},
		{"an old connection may still ask", "recall.go",
			"		if c.Attach != s.attach || !s.attached() {",
			"		if !s.attached() {"},
		{"a secret is not compared", "recall.go",
			"	if c.Proof == nil || !s.proves(c.Proof) {",
			"	if c.Proof == nil {"},
		{"anybody may resume", "session.go",
			"	if id == 0 || !t.sessions.at(id).proves(&c.Secret) || t.sessions.at(id).byCalls {",
			"	if id == 0 || t.sessions.at(id).byCalls {"},
		{"a retried open opens another session", "session.go",
			"	if id := t.sessionBySecret[c.Secret]; id != 0 {",
			"	if id := t.sessionBySecret[c.Secret]; id != 0 && t.sessions.at(id).byCalls {"},
		{"the end of a session grants to itself", "end.go",
			`	t.dropWaits(sid, reason)
	s := t.openSession(sid)
	t.expect(2 * int(s.holds)) // most have somebody who waits
	for s.firstHold != 0 {
		t.endHold(s.firstHold, reason, involuntary)
	}`,
			`	s := t.openSession(sid)
	t.expect(2 * int(s.holds)) // most have somebody who waits
	for s.firstHold != 0 {
		t.endHold(s.firstHold, reason, involuntary)
		t.serve()
	}
	t.dropWaits(sid, reason)`},
		{"waits of what is due are not dropped first", "time.go",
			"	case sessionDeadline:\n		t.dropWaits(",
			"	case sessionDeadline + 100:\n		t.dropWaits("},
		{"silence does not count", "session.go",
			"	left := max(0, s.ttl-max(0, c.Silent))",
			"	left := s.ttl"},
		{"close ends what the member cut", "session.go",
			"case s.onEnd == OnEndAlways, s.onEnd == OnEndClose && c.ByClient:",
			"case s.onEnd == OnEndAlways, s.onEnd == OnEndClose:"},
		{"a resumed session still expires", "session.go",
			"	if s.deadline != 0 {\n		t.setSessionDeadline(id, 0)\n	}\n	t.linkToMember",
			"	t.linkToMember"},
		{"calls do not renew", "recall.go",
			"	s.floors = 0\n	t.setSessionDeadline(id, t.now+Time(s.ttl))",
			"	s.floors = 0"},
		{"disowned holds keep no lease", "session.go",
			"		if end := t.now + Time(lease); lease > 0 && (",
			"		if end := t.now + Time(lease); lease < 0 && ("},
		{"disowned holds get a longer lease", "session.go",
			"(h.deadline == 0 || h.deadline > end) {\n			t.setHoldDeadline(hid, end)",
			"(h.deadline == 0 || h.deadline < end) {\n			t.setHoldDeadline(hid, end)"},
		{"sessions are limited one too late", "session.go",
			"	case t.counts.Sessions >= set.MaxSessions:",
			"	case t.counts.Sessions > set.MaxSessions:"},
		{"the reason of a kill is lost", "session.go",
			"	t.explain(c.Reason)\n",
			""},
		{"sessions that end with their member expire", "time.go",
			"	if s.onEnd >= OnEndAlways {\n		return SessionClosed",
			"	if s.onEnd > OnEndDisown {\n		return SessionClosed"},
	}
}
