package lock

import (
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
)

// Restorer makes a table from the chunks of a snapshot. Cut them as you like:
// records are only put aside until the end has been read and the checksum
// agrees, and the table is handed out only if its hash does too.
type Restorer struct {
	t       *Table
	buf     []byte
	crc     uint32
	records uint64
	kept    [recordEnd][][]byte // payloads by kind
	ended   bool
	err     error

	want  Hash
	locks map[uint64]lockID // by number
}

// NewRestorer returns a restorer that has read nothing.
func NewRestorer() *Restorer {
	return &Restorer{t: New(), locks: map[uint64]lockID{}}
}

// maxRecordBytes bounds a record; the longest hold a few texts of bounded length.
const maxRecordBytes = 16 << 20

// Write takes the next piece of the snapshot.
func (r *Restorer) Write(chunk []byte) error {
	if r.err != nil {
		return r.err
	}
	r.buf = append(r.buf, chunk...)
	for r.err == nil && r.next() {
	}
	return r.err
}

// next takes one record from the front of the buffer; false if it is not there
// yet, or bad.
func (r *Restorer) next() bool {
	d := decoder{b: r.buf}
	kind, size := d.byte(), d.uint()
	switch {
	case d.err != nil && len(r.buf) < 16:
		return false
	case d.err != nil:
		r.err = fmt.Errorf("lock: snapshot record %d: %w", r.records, d.err)
		return false
	case size > maxRecordBytes:
		r.err = fmt.Errorf("lock: snapshot record of %d bytes is longer than the limit of %d", size, maxRecordBytes)
		return false
	case size > uint64(len(d.b)):
		return false
	}
	n := len(r.buf) - len(d.b) + int(size)
	r.err = r.keep(kind, d.b[:size], r.buf[:n])
	r.buf = r.buf[n:]
	r.records++
	return r.err == nil
}

// keep puts a record's payload aside; whole is the record with its frame.
func (r *Restorer) keep(kind byte, payload, whole []byte) error {
	switch {
	case r.ended:
		return errors.New("lock: snapshot goes on after its end")
	case (kind == recordHead) != (r.records == 0):
		return errors.New("lock: not a snapshot: it does not begin with the head of one")
	case kind == recordEnd:
		r.ended = true
		return r.checkEnd(payload)
	case kind == 0 || kind > recordEnd:
		return fmt.Errorf("lock: snapshot record %d is of the unknown kind %d: written by a newer version?", r.records, kind)
	}
	r.crc = crc32.Update(r.crc, castagnoli, whole)
	if kind == recordHead {
		return r.parse(kind, payload, r.readHead)
	}
	r.kept[kind] = append(r.kept[kind], slices.Clone(payload))
	return nil
}

func (r *Restorer) checkEnd(payload []byte) error {
	d := decoder{b: payload}
	records, crc := d.uint(), d.fixed()
	switch {
	case d.err != nil:
		return fmt.Errorf("lock: the snapshot's last record: %w", d.err)
	case records != r.records:
		return fmt.Errorf("lock: snapshot has %d records where %d were written", r.records, records)
	case crc != uint64(r.crc):
		return errors.New("lock: the snapshot's checksum does not match: it was damaged")
	}
	return nil
}

// Table returns the restored table.
func (r *Restorer) Table() (*Table, error) {
	if r.err == nil && !r.ended {
		r.err = errors.New("lock: the snapshot ends early")
	}
	if r.err == nil {
		r.err = r.build()
	}
	if r.err != nil {
		return nil, r.err
	}
	return r.t, nil
}

// build makes the rows, each kind after those it refers to.
func (r *Restorer) build() error {
	for _, step := range []struct {
		kind byte
		read func(*decoder)
	}{
		{recordMember, r.readMember},
		{recordSession, r.readSession},
		{recordSlots, r.readSlots},
		{recordNamed, r.readNamed},
		{recordLock, r.readLock},
		{recordHold, r.readHold},
		{recordRequest, r.readRequest},
	} {
		for _, payload := range r.kept[step.kind] {
			if err := r.parse(step.kind, payload, step.read); err != nil {
				return err
			}
		}
		r.kept[step.kind] = nil
	}
	if err := r.link(); err != nil {
		return err
	}
	t := r.t
	t.settle()
	if err := t.Check(); err != nil {
		return fmt.Errorf("lock: the snapshot contradicts itself: %w", err)
	}
	if t.Hash() != r.want {
		return errors.New("lock: the restored table differs from the one that was saved")
	}
	return nil
}

func (r *Restorer) parse(kind byte, payload []byte, read func(*decoder)) error {
	d := decoder{b: payload}
	read(&d)
	if d.err == nil && len(d.b) > 0 {
		d.err = fmt.Errorf("%d bytes too many", len(d.b))
	}
	if d.err != nil {
		return fmt.Errorf("lock: snapshot record of kind %d: %w", kind, d.err)
	}
	return nil
}
