package cli

import "strings"

// A pattern selects names: each * in it stands for any text, everything else for
// itself. The empty pattern selects all.
type pattern string

// prefix is what all selected names begin with.
func (p pattern) prefix() string {
	prefix, _, _ := strings.Cut(string(p), "*")
	return prefix
}

// matches reports whether a name is selected.
func (p pattern) matches(name string) bool {
	if p == "" {
		return true
	}
	parts := strings.Split(string(p), "*")
	first, last := parts[0], parts[len(parts)-1]
	if len(parts) == 1 {
		return name == first
	}
	name, ok := strings.CutPrefix(name, first)
	if !ok {
		return false
	}
	if name, ok = strings.CutSuffix(name, last); !ok {
		return false
	}
	// Taking each part as early as it comes leaves the most for those after it.
	for _, part := range parts[1 : len(parts)-1] {
		if _, name, ok = strings.Cut(name, part); !ok {
			return false
		}
	}
	return true
}
