package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// remarks tells people what happens, without ever waiting for them: whoever does
// not read what it says must not keep a command from its work. What does not fit
// is dropped.
type remarks struct {
	quiet bool
	write chan func() // one after the other
	done  chan struct{}
	w     io.Writer
}

const (
	// maxRemarks is how many may wait to be read.
	maxRemarks = 64
	// remarkPatience bounds how long they are waited for where something ends.
	remarkPatience = time.Second
)

// newRemarks returns remarks that go to w. The caller closes them.
func newRemarks(w io.Writer, quiet bool) *remarks {
	r := &remarks{quiet: quiet, write: make(chan func(), maxRemarks), done: make(chan struct{}), w: w}
	go func() {
		defer close(r.done)
		for write := range r.write {
			write()
		}
	}()
	return r
}

// note says something that -q silences.
func (r *remarks) note(format string, args ...any) {
	if !r.quiet {
		r.warn(format, args...)
	}
}

// warn says something that everybody has to know.
func (r *remarks) warn(format string, args ...any) {
	line := "ldlm: " + fmt.Sprintf(format, args...)
	r.enqueue(func() { fmt.Fprintln(r.w, line) })
}

func (r *remarks) enqueue(write func()) {
	select {
	case r.write <- write:
	default:
	}
}

// flush waits until everything was read, but not for long.
func (r *remarks) flush() {
	written := make(chan struct{})
	r.enqueue(func() { close(written) })
	r.await(written)
}

// close is flush, and the end.
func (r *remarks) close() {
	close(r.write)
	r.await(r.done)
}

func (r *remarks) await(done <-chan struct{}) {
	t := time.NewTimer(remarkPatience)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	}
}

// visible returns text that others chose without what would do something to a
// terminal, or break the line.
func visible(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	q := strconv.Quote(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

// shellWord returns a text as a word of a command line for shells.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) || strings.ContainsRune("-_./:@%+=,", r)
	}
	switch {
	case s != "" && s[0] != '-' && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0:
		return s
	case strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "$" + strings.ReplaceAll("'"+strings.Trim(strconv.Quote(s), `"`)+"'", `\"`, `"`)
	default:
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
}
