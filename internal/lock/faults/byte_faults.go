package main

// byteFaults break what is read and written.
func byteFaults() []fault {
	return []fault{
		{"a command loses a field", "wire.go", "	number(w, &c.Attempt)\n", ""},
		{"a setting loses its place", "settings.go",
			"		&s.MaxNameBytes, &s.MaxNames, &s.MaxValueBytes,",
			"		&s.MaxNameBytes, &s.MaxNames, &s.MaxNames,"},
		{"a kind gets another number", "codec.go",
			"	kindCollect      byte = 21\n	kindMark         byte = 22\n",
			"	kindCollect      byte = 22\n	kindMark         byte = 21\n"},
		{"a length is believed", "wire.go",
			"		if n > uint64(len(w.in.b))/leastItem {",
			"		if n > 1<<26 {"},
		{"bytes after the commands are overlooked", "codec.go",
			"	case len(w.in.b) > 0:",
			"	case len(w.in.b) > 1<<20:"},
		{"another version is read", "codec.go", "v != commandVersion {", "v == 0 {"},
		{"the checksum of a snapshot is not compared", "restore.go",
			"	case crc != uint64(r.crc):",
			"	case crc == 0 && r.crc != 0:"},
		{"a snapshot may end early", "restore.go",
			"	if r.err == nil && !r.ended {",
			"	if r.err == nil && !r.ended && r.records == 0 {"},
		{"a slot may refer to nothing", "relink.go",
			"		if s.slots.dangle() {",
			"		if s.slots.dangle() && s.number == 0 {"},
		{"names need not be UTF-8", "acquire.go",
			` || !utf8.ValidString(it.Name):`,
			`:`},
		{"settings may contradict each other", "admin.go",
			"s.MinTTL <= s.DefaultTTL && ",
			""},
	}
}
