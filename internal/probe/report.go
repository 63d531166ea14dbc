package probe

import (
	"fmt"
	"strings"
)

// A Check is one thing that readiness depends on.
type Check struct {
	Name string
	// Err is what is wrong; nil: nothing. Strangers read its text.
	Err error
}

// A Report has all of them, in the order in which they are shown.
type Report []Check

// Ready reports whether nothing is wrong.
func (r Report) Ready() bool {
	for _, c := range r {
		if c.Err != nil {
			return false
		}
	}
	return true
}

// String has a line for each check and a verdict.
func (r Report) String() string {
	var b strings.Builder
	for _, c := range r {
		if c.Err != nil {
			fmt.Fprintf(&b, "[-] %s: %v\n", c.Name, c.Err)
		} else {
			fmt.Fprintf(&b, "[+] %s: ok\n", c.Name)
		}
	}
	b.WriteString(r.verdict())
	return b.String()
}

func (r Report) verdict() string {
	if r.Ready() {
		return "ready\n"
	}
	return "not ready\n"
}
