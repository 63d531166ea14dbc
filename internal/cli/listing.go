package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/document"
)

// An element is one of the things that a list shows.
type element struct {
	// name is what scripts go on with. Elements are sorted by key, and then by name.
	name string
	key  int64
	doc  any
	row  func(wide bool) []cell
}

// A list is what a command shows that goes through many things.
type list struct {
	// field of the document that has the elements, beside the time of the look.
	field string
	heads func(wide bool) []string
	// unsorted shows elements in the order in which they come.
	unsorted bool
	// each goes through the elements as they are now; an error ends it.
	each func(ctx context.Context, c *ldlm.Client, now time.Time) iter.Seq2[element, error]
}

// showList shows a list, once or until a signal comes. Of what is shown once no more is
// kept than must be; each bounds itself by --timeout.
func (o *outputFlags) showList(ctx context.Context, l *list) error {
	if o.watch || o.format.name == goTemplate {
		return o.showLook(ctx, l.look)
	}
	return o.connected(ctx, func(ctx context.Context, c *ldlm.Client) error {
		now := time.Now()
		out := o.printer(false).newListing(l, now)
		for e, err := range l.each(ctx, c, now) {
			if err != nil {
				return errors.Join(err, out.flush())
			}
			if err := out.add(&e); err != nil {
				return err
			}
		}
		return out.end()
	})
}

// look is what the list is now, as a whole.
func (l *list) look(ctx context.Context, c *ldlm.Client) (view, error) {
	var all []element
	now := time.Now()
	for e, err := range l.each(ctx, c, now) {
		if err != nil {
			return view{}, err
		}
		all = append(all, e)
	}
	return l.view(now, all)
}

// view is the view of some elements.
func (l *list) view(now time.Time, all []element) (view, error) {
	var doc bytes.Buffer
	out := newListing(l, &doc, &jsonLineForm{jsonForm{field: l.field, time: document.Time(now)}})
	v := view{}
	for i := range all {
		if err := out.add(&all[i]); err != nil {
			return view{}, err
		}
	}
	if err := out.end(); err != nil {
		return view{}, err
	}
	v.doc = json.RawMessage(doc.Bytes())
	if !l.unsorted {
		slices.SortFunc(all, func(a, b element) int { return compareKeys(a.key, b.key, a.name, b.name) })
	}
	for i := range all {
		v.names = append(v.names, all[i].name)
	}
	v.lines = func(wide, color bool) []string {
		t := &table{}
		t.addTexts(heading, l.heads(wide)...)
		for _, e := range all {
			t.add(e.row(wide)...)
		}
		return t.lines(color)
	}
	return v, nil
}

func compareKeys(key, otherKey int64, name, otherName string) int {
	return cmp.Or(cmp.Compare(key, otherKey), cmp.Compare(name, otherName))
}

// A listing prints a list element by element.
type listing struct {
	list *list
	form listForm
	w    *bufio.Writer
	// kept are those that wait for their places, or for the widths of columns.
	kept  []keptElement
	begun bool
	count int // of those that were written
}

// A keptElement is an element of which only the part is left that is to be printed.
type keptElement struct {
	name string
	key  int64
	text []byte // or else
	row  []cell
}

const (
	// firstRows is how many elements of an unsorted list decide how wide columns are.
	firstRows = 500
	// listingBuffer is how many bytes are written at a time.
	listingBuffer = 1 << 16
)

// newListing returns a listing in the format of the printer.
func (p *printer) newListing(l *list, now time.Time) *listing {
	t := document.Time(now)
	var form listForm = &jsonForm{field: l.field, time: t}
	switch p.format.name {
	case formatTable, formatWide:
		form = &tableForm{heads: l.heads, wide: p.format.name == formatWide, color: p.color}
	case formatName:
		form = nameForm{}
	case formatYAML:
		form = &yamlForm{field: l.field, time: t}
	}
	return newListing(l, p.out, form)
}

func newListing(l *list, out io.Writer, form listForm) *listing {
	return &listing{list: l, form: form, w: bufio.NewWriterSize(out, listingBuffer)}
}

// add prints an element as soon as that can be: when its place is known, and enough to
// begin with.
func (l *listing) add(e *element) error {
	kept, err := l.form.keep(e)
	if err != nil {
		return err
	}
	kept.name, kept.key = e.name, e.key
	l.kept = append(l.kept, kept)
	if l.list.unsorted && (l.begun || len(l.kept) == firstRows) {
		return l.release()
	}
	return nil
}

// release prints what was kept.
func (l *listing) release() error {
	if !l.list.unsorted {
		slices.SortFunc(l.kept, func(a, b keptElement) int { return compareKeys(a.key, b.key, a.name, b.name) })
	}
	var text []byte
	var err error
	if !l.begun {
		l.begun = true
		if text, err = l.form.begin(l.kept); err != nil {
			return err
		}
	}
	for i := range l.kept {
		if text, err = l.form.element(text, &l.kept[i], l.count); err != nil {
			return err
		}
		l.count++
		if _, err = l.w.Write(text); err != nil {
			return writeError(err)
		}
		text = text[:0]
	}
	l.kept = l.kept[:0]
	_, err = l.w.Write(text)
	return writeError(err)
}

// end prints the rest.
func (l *listing) end() error {
	if err := l.release(); err != nil {
		return err
	}
	if _, err := l.w.WriteString(l.form.end(l.count)); err != nil {
		return writeError(err)
	}
	return l.flush()
}

// flush writes what has gathered.
func (l *listing) flush() error { return writeError(l.w.Flush()) }
