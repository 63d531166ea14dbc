package config

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/ldlm-io/ldlm/internal/nearest"
)

// Nearest returns the name that was probably meant, "" if none is near enough.
func Nearest(word string, names []string) string { return nearest.Of(word, names) }

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
