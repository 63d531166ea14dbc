// Package nearest finds the word that was probably meant where somebody has written
// one that does not exist.
package nearest

import (
	"slices"
	"strings"
)

// Of returns the name that was probably meant, "" if none is near enough.
// That is the one that differs least, or else one that goes on where the word
// ends; of several the first.
func Of(word string, names []string) string {
	word = strings.ToLower(word)
	most := min(max(slip, len(word)/3), len(word)-1) // something of the word must be right
	if best := closest(word, names, most); best != "" || word == "" {
		return best
	}
	if i := slices.IndexFunc(names, func(name string) bool { return strings.HasPrefix(name, word) }); i >= 0 {
		return names[i]
	}
	return ""
}

// slip is how many letters a slip of the pen may get wrong.
const slip = 2

// Slip returns the name that differs from a word by no more than a slip of the pen,
// "" if there is none.
func Slip(word string, names []string) string { return closest(strings.ToLower(word), names, slip) }

// closest returns the name that differs in the fewest letters, "" if that is
// more than most.
func closest(word string, names []string, most int) string {
	best, least := "", most+1
	for _, name := range names {
		if d := distance(word, name, least); d < least {
			best, least = name, d
		}
	}
	return best
}

// distance is how many letters must be put in, left out or replaced to make b
// of a. What is more than enough is not counted out.
func distance(a, b string, enough int) int {
	if len(a)-len(b) > enough || len(b)-len(a) > enough {
		return enough
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		left := row[0] // of the row above
		row[0]++
		for j := range len(b) {
			replaced := left
			if a[i] != b[j] {
				replaced++
			}
			left = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
