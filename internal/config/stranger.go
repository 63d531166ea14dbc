package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ldlm-io/ldlm/internal/nearest"
)

// Strangers looks for variables that are no settings but look like a slip of the
// pen, and says of each which one was probably meant. They are ignored, as they
// always were; but who has set a password by another name wants to know. environ
// has variables as name=value; none of the values is in the answer.
func (b *Binding) Strangers(environ []string) []string {
	const prefix = "LDLM_"
	var known, found []string
	for _, o := range b.options {
		if o.env != "" {
			known = append(known, strings.ToLower(strings.TrimPrefix(o.env, prefix)))
		}
	}
	for _, v := range environ {
		name, value, _ := strings.Cut(v, "=")
		word, ours := strings.CutPrefix(name, prefix)
		if !ours || value == "" || slices.Contains(known, strings.ToLower(word)) && word == strings.ToUpper(word) {
			continue
		}
		if near := nearest.Slip(word, known); near != "" {
			found = append(found, fmt.Sprintf("%s is no setting and is ignored; did you mean %s%s?", name, prefix, strings.ToUpper(near)))
		}
	}
	slices.Sort(found)
	return found
}
