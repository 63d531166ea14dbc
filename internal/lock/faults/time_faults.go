package main

// timeFaults break when something ends.
func timeFaults() []fault {
	return []fault{
		{"time runs backwards", "time.go", "		t.now += Time(elapsed)", "		t.now -= Time(elapsed)"},
		{"negative time counts", "time.go", "	if elapsed > 0 {\n", "	if elapsed != 0 {\n"},
		{"waits end after holds", "time.go",
			`	for i := range t.due {
		t.dropDueWaits(&t.due[i])
	}
	for i := range t.due {
		t.endDue(&t.due[i])
	}`,
			`	for i := range t.due {
		t.endDue(&t.due[i])
		t.serve()
	}
	for i := range t.due {
		t.dropDueWaits(&t.due[i])
	}`},
		{"kinds end in the wrong order", "deadline.go", "		return d.kind < e.kind", "		return d.kind > e.kind"},
		{"numbers end in the wrong order", "deadline.go", "		return d.number < e.number", "		return d.number > e.number"},
		{"a lease is a microsecond long too much", "time.go",
			"	for {\n		d := t.deadlines.min()\n		if d == nil || d.at > t.now {",
			"	for {\n		d := t.deadlines.min()\n		if d == nil || d.at >= t.now {"},
		{"a renewal adds to the old lease", "release.go",
			"			t.setHoldDeadline(id, t.now+Time(c.Lease))",
			"			t.setHoldDeadline(id, t.holds.at(id).deadline+Time(c.Lease))"},
		{"a stale entry lets time pass", "table.go", "	if !r.Stale {\n", "	{\n"},
		{"a stale entry's leader is obeyed", "table.go",
			"	if stale && onlyLeader(c) {",
			"	if false && onlyLeader(c) {"},
		{"floors without end", "time.go", "	const maxFloors = 3\n", "	const maxFloors = 255\n"},
		{"floors after the time", "table.go",
			"		t.raiseFloors()\n	}\n	if !r.Stale {\n		t.pass(e.Elapsed)\n	}",
			"		defer t.raiseFloors()\n	}\n	if !r.Stale {\n		t.pass(e.Elapsed)\n	}"},
		{"a beat does not begin floors anew", "member.go", "	m.beat, m.floors = c.Number, 0\n", "	m.beat = c.Number\n"},
		{"a repeated beat counts", "member.go",
			"	if c.Number <= t.members.at(id).beat {",
			"	if c.Number < t.members.at(id).beat {"},
		{"sessions of a dead member run from now", "member.go", "	if certain {\n", "	if true {\n"},
		{"what a member's end makes due waits", "member.go",
			"	t.endMember(id, t.endOf(id, c.Own))\n	t.endAllDue()\n",
			"	t.endMember(id, t.endOf(id, c.Own))\n"},
		{"an entry of the heap is not moved up", "deadline.go",
			"	if !q.up(i) {\n		q.down(i)\n	}\n}\n\n// remove",
			"	q.down(i)\n}\n\n// remove"},
	}
}
