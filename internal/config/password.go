package config

import (
	"errors"
	"fmt"
	"strings"
)

// Passwords returns the passwords of which each is good: that of the setting
// itself, and those of the files. There are none if neither is set. A file
// without a password is an error: whoever names one wants a closed door. So is a
// password with a byte that no client can send.
func (s *Server) Passwords() ([]string, error) {
	var all []string
	if s.Password != "" {
		all = append(all, s.Password)
	}
	if s.PasswordFile == "" {
		return all, nil
	}
	for path := range strings.SplitSeq(s.PasswordFile, ",") {
		found, err := passwordsIn(strings.TrimSpace(path))
		if err != nil {
			return nil, fmt.Errorf("password_file: %w", err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// passwordsIn reads one password from each line that is not empty.
func passwordsIn(path string) ([]string, error) {
	if path == "" {
		return nil, errors.New("a name of a file is empty")
	}
	data, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	var all []string
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return nil, fmt.Errorf("%s:%d: a password has a control character, which no client can send", path, number)
		}
		if line != "" {
			all = append(all, line)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no password in it; write one a line", path)
	}
	return all, nil
}
