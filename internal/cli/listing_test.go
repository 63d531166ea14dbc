package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ldlm-io/ldlm/internal/document"
)

// listed prints elements one by one.
func listed(t *testing.T, l *list, format format, color bool, all []element) string {
	t.Helper()
	var b bytes.Buffer
	out := (&printer{out: &b, format: format, color: color}).newListing(l, now)
	for i := range all {
		if err := out.add(&all[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.end(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A list that is printed element by element looks as it does when it is printed as a whole.
func TestListing(t *testing.T) {
	var someLocks, someSessions []element
	for _, l := range locks().Locks {
		someLocks = append(someLocks, lockElement(l, sortAge))
	}
	for _, s := range sessions() {
		someSessions = append(someSessions, sessionElement(s))
	}
	slices.Reverse(someLocks)
	slices.Reverse(someSessions)
	for _, unsorted := range []bool{false, true} {
		for name, c := range map[string]struct {
			list *list
			all  []element
		}{
			"locks":    {(&lsCommand{}).list(), someLocks},
			"lock":     {(&lsCommand{}).list(), someLocks[:1]},
			"no locks": {(&lsCommand{}).list(), nil},
			"sessions": {sessionList(nil), someSessions},
		} {
			c.list.unsorted = unsorted
			v, err := c.list.view(now, slices.Clone(c.all))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range []string{formatTable, formatWide, formatName, formatYAML, formatJSON} {
				for _, color := range []bool{false, true} {
					var want bytes.Buffer
					if err := (&printer{out: &want, format: format{name: f}, color: color}).print(v); err != nil {
						t.Fatal(err)
					}
					if got := listed(t, c.list, format{name: f}, color, c.all); got != want.String() {
						t.Errorf("%s, unsorted %t, -o %s: got\n%s\nwant\n%s", name, unsorted, f, got, want.String())
					}
				}
			}
		}
	}
}

// What need not be sorted is printed while it comes, and not kept.
func TestListingGoesOut(t *testing.T) {
	for _, f := range []string{formatTable, formatName, formatYAML, formatJSON} {
		var b bytes.Buffer
		l := (&lsCommand{sort: sortNone}).list()
		out := (&printer{out: &b, format: format{name: f}}).newListing(l, now)
		for i := range 20_000 {
			e := lockElement(document.Lock{Name: fmt.Sprintf("%0*d", 10+i/firstRows, i), Size: 1}, sortNone)
			if err := out.add(&e); err != nil {
				t.Fatal(err)
			}
		}
		if b.Len() == 0 || len(out.kept) != 0 {
			t.Errorf("-o %s: %d bytes are written, %d elements are kept", f, b.Len(), len(out.kept))
		}
		if err := out.end(); err != nil {
			t.Fatal(err)
		}
		if f == formatTable {
			lines := strings.Split(b.String(), "\n")
			wantLines(t, strings.Join([]string{lines[0], lines[1], lines[20_000]}, "\n"),
				`NAME        MODE  SIZE  HELD BY  AGE  LEASE  WAITERS`,
				`0000000000  -     0/1   -        -    -      0`,
				`0{44}19999  -     0/1   -        -    -      0`)
		}
	}
}

// --timeout is for each part of an answer, and not for what is done with it.
func TestInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &clientFlags{timeout: 10 * time.Second}
		parts := func(pauses ...time.Duration) func(context.Context) iter.Seq2[int, error] {
			return func(ctx context.Context) iter.Seq2[int, error] {
				return func(yield func(int, error) bool) {
					for i, d := range pauses {
						select {
						case <-time.After(d):
						case <-ctx.Done():
							yield(i, context.Cause(ctx))
							return
						}
						if !yield(i, nil) {
							return
						}
					}
				}
			}
		}
		count := 0
		for _, err := range inParts(t.Context(), f, parts(9*time.Second, 9*time.Second, 9*time.Second)) {
			if err != nil {
				t.Fatalf("after %d parts: %v", count, err)
			}
			count++
			<-time.After(time.Minute) // whoever reads it is slow
		}
		late := (*noAnswerError)(nil)
		for _, err := range inParts(t.Context(), f, parts(9*time.Second, 11*time.Second)) {
			if count++; err != nil && !errors.As(err, &late) {
				t.Errorf("got %v", err)
			}
		}
		if count != 5 || late == nil {
			t.Errorf("%d parts, %v", count, late)
		}
	})
}
