package config

// A Change is a setting that has another value than before. Secrets are masked:
// then both may look alike.
type Change struct {
	Name   string `json:"name"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// Changes returns the settings that have other values in another binding of the
// same struct, as far as they may be shown.
func (b *Binding) Changes(other *Binding) []Change {
	var all []Change
	for _, name := range b.Changed(other) {
		before, after := b.lookup(name), other.lookup(name)
		c := Change{name, before.flag.Value.String(), after.flag.Value.String()}
		if before.secret {
			c.Before, c.After = hidden(c.Before), hidden(c.After)
		}
		all = append(all, c)
	}
	return all
}

// hidden is a secret as it is shown.
func hidden(secret string) string {
	if secret == "" {
		return ""
	}
	return masked
}
