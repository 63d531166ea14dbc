package config

import (
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// nearest returns the name that was probably meant, "" if none is near enough.
// Of several that are equally near it is the first.
func nearest(word string, names []string) string {
	best, least := "", max(2, len(word)/3)+1
	for _, name := range names {
		if d := distance(strings.ToLower(word), name, least); d < least {
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

// hintOf says what is usually the matter with a value that a flag refuses; ""
// if the refusal says it all.
func hintOf(f *pflag.Flag, text string) string {
	if f.Value.Type() != "duration" || text == "" {
		return ""
	}
	if _, err := time.ParseDuration(text + "s"); err != nil {
		return ""
	}
	return "A duration has a unit: write " + text + "s if you mean seconds."
}
