package wire

import (
	"google.golang.org/protobuf/proto"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

// DecodeClient replaces the content of f by the frame in b, all of b. Unknown
// fields are skipped. An error is a [*FrameError]; f is then of no use.
//
// The operations in f, with all that they point to except strings and bytes,
// are used again when the next frame is decoded into the same f: a caller that
// reads many frames need not allocate for each. Nothing in f aliases b.
//
// Strings of hello must be valid UTF-8. Strings inside operations are not
// judged here: an operation with a bad name is refused by itself, and the other
// operations of the connection go on.
func DecodeClient(b []byte, f *ldlmv2.ClientFrame) error {
	d := clientDecoder{parts: min(MaxParts, partsAtLeast+len(b)/partBytes)}
	spare := f.Ops[:cap(f.Ops)]
	f.Reset()
	f.Ops = spare[:0]
	r := fields{rest: b}
	for r.next() {
		switch r.key {
		case 1<<3 | length:
			if f.Hello == nil {
				f.Hello = new(ldlmv2.Hello)
			}
			r.fail("hello", decodeRare(r.p, f.Hello))
		case 2<<3 | length:
			if f.KeepAlive == nil {
				f.KeepAlive = new(ldlmv2.KeepAlive)
			}
			r.fail("keep_alive", decodeKeepAlive(r.p, f.KeepAlive))
		case 3<<3 | length:
			var op *ldlmv2.Op
			if n := len(f.Ops); n < len(spare) {
				op = spare[n]
			}
			if op == nil {
				op = new(ldlmv2.Op)
			}
			f.Ops = append(f.Ops, op)
			r.fail("ops", d.op(r.p, op))
		case 4<<3 | length:
			if f.Close == nil {
				f.Close = new(ldlmv2.CloseSession)
			}
			r.fail("close", decodeEmpty(r.p))
		}
	}
	return r.err
}

// ForgetClient empties a frame that was decoded. The messages of its first
// operations stay, as empty ones, to be used again; so a frame that is kept for
// reading takes little memory, whatever came.
func ForgetClient(f *ldlmv2.ClientFrame) {
	const kept = 256
	ops := f.Ops
	if cap(ops) > 2*kept {
		ops = append(make([]*ldlmv2.Op, 0, kept), ops[:min(len(ops), kept)]...)
	}
	for _, op := range ops {
		acquire, release, renew := op.Acquire, op.Release, op.Renew
		op.Reset()
		op.Acquire, op.Release, op.Renew = emptied(acquire), emptied(release), emptied(renew)
	}
	f.Reset()
	f.Ops = ops[:0]
}

// emptied empties a message, if there is one.
func emptied[T any, M message[T]](m M) M {
	if m != nil {
		m.Reset()
	}
	return m
}

const (
	// partBytes is what an operation, an item or a label takes at least, if it
	// says anything. Frames with more parts than their bytes can mean are refused,
	// so that a frame in memory is no larger than some multiple of its bytes.
	partBytes = 5
	// partsAtLeast lets small frames be refused for their content rather.
	partsAtLeast = 16
)

// clientDecoder knows how many parts the frame may still have.
type clientDecoder struct{ parts int }

func (d *clientDecoder) part() error {
	if d.parts--; d.parts < 0 {
		return &FrameError{Problem: "more operations, items and labels than allowed, or than its bytes can hold", Limit: MaxParts}
	}
	return nil
}

// decodeRare decodes messages whose cost does not matter.
func decodeRare(b []byte, m proto.Message) error {
	if err := (proto.UnmarshalOptions{Merge: true, DiscardUnknown: true}).Unmarshal(b, m); err != nil {
		return &FrameError{Problem: err.Error()}
	}
	return nil
}

func decodeEmpty(b []byte) error {
	r := fields{rest: b}
	for r.next() {
	}
	return r.err
}

func decodeKeepAlive(b []byte, m *ldlmv2.KeepAlive) error {
	r := fields{rest: b}
	for r.next() {
		switch r.key {
		case 1<<3 | varint:
			m.Number = r.v
		case 2<<3 | varint:
			m.ValidForUs = int64(r.v)
		}
	}
	return r.err
}

// op decodes an operation. What the operation before it in the same place
// pointed to is used again.
func (d *clientDecoder) op(b []byte, m *ldlmv2.Op) error {
	if err := d.part(); err != nil {
		return err
	}
	acquire, release, renew := m.Acquire, m.Release, m.Renew
	m.Reset()
	r := fields{rest: b}
	for r.next() {
		switch r.key {
		case 1<<3 | varint:
			m.Slot = uint32(r.v)
		case 2<<3 | varint:
			m.Seq = r.v
		case 3<<3 | length:
			m.Acquire = fresh(m.Acquire, acquire)
			r.fail("acquire", d.acquire(r.p, m.Acquire))
		case 5<<3 | length:
			m.Release = fresh(m.Release, release)
			r.fail("release", decodeRelease(r.p, m.Release))
		case 6<<3 | length:
			m.Renew = fresh(m.Renew, renew)
			r.fail("renew", decodeRenew(r.p, m.Renew))
		default:
			d.rareOp(&r, m)
		}
	}
	return r.err
}

func (d *clientDecoder) rareOp(r *fields, m *ldlmv2.Op) {
	switch r.key {
	case 4<<3 | length:
		m.AcquireAll = fresh(m.AcquireAll, nil)
		r.fail("acquire_all", d.acquireAll(r.p, m.AcquireAll))
	case 7<<3 | length:
		m.Downgrade = fresh(m.Downgrade, nil)
		r.fail("downgrade", decodeDowngrade(r.p, m.Downgrade))
	case 8<<3 | length:
		m.SetValue = fresh(m.SetValue, nil)
		r.fail("set_value", decodeSetValue(r.p, m.SetValue))
	case 9<<3 | length:
		m.Cancel = fresh(m.Cancel, nil)
		r.fail("cancel", decodeEmpty(r.p))
	}
}

// message is a pointer to a message that can be emptied.
type message[T any] interface {
	*T
	Reset()
}

// fresh returns the message to decode a field into: the one there, for a field
// that comes twice is merged; else the spare one, emptied; else a new one.
func fresh[T any, M message[T]](there, spare M) M {
	switch {
	case there != nil:
		return there
	case spare != nil:
		spare.Reset()
		return spare
	default:
		return new(T)
	}
}

func (d *clientDecoder) acquire(b []byte, m *ldlmv2.Acquire) error {
	r := fields{rest: b}
	for r.next() {
		switch r.key {
		case 1<<3 | length:
			m.Name = r.text()
		case 2<<3 | varint:
			m.Size = uint32(r.v)
		case 3<<3 | varint:
			m.Permits = uint32(r.v)
		case 4<<3 | varint:
			m.Mode = ldlmv2.Mode(r.v)
		case 5<<3 | varint:
			m.WaitUs = int64(r.v)
		case 6<<3 | varint:
			m.LeaseUs = int64(r.v)
		case 7<<3 | varint:
			m.LockDelayUs = int64(r.v)
		case 8<<3 | length:
			m.Note = fresh(m.Note, nil)
			r.fail("note", d.note(r.p, m.Note))
		}
	}
	return r.err
}

func (d *clientDecoder) acquireAll(b []byte, m *ldlmv2.AcquireAll) error {
	r := fields{rest: b}
	for r.next() {
		switch r.key {
		case 1<<3 | length:
			it := new(ldlmv2.Item)
			m.Items = append(m.Items, it)
			r.fail("items", d.item(r.p, it))
		case 2<<3 | varint:
			m.WaitUs = int64(r.v)
		case 3<<3 | varint:
			m.LeaseUs = int64(r.v)
		case 4<<3 | varint:
			m.LockDelayUs = int64(r.v)
		case 5<<3 | length:
			m.Note = fresh(m.Note, nil)
			r.fail("note", d.note(r.p, m.Note))
		}
	}
	return r.err
}

func (d *clientDecoder) item(b []byte, m *ldlmv2.Item) error {
	if err := d.part(); err != nil {
		return err
	}
	r := fields{rest: b}
	for r.next() {
		switch r.key {
		case 1<<3 | length:
			m.Name = r.text()
		case 2<<3 | varint:
			m.Size = uint32(r.v)
		case 3<<3 | varint:
			m.Permits = uint32(r.v)
		case 4<<3 | varint:
			m.Mode = ldlmv2.Mode(r.v)
		}
	}
	return r.err
}

func (d *clientDecoder) note(b []byte, m *ldlmv2.Note) error {
	r := fields{rest: b}
	for r.next() {
		switch r.key {
		case 1<<3 | length:
			m.Reason = r.text()
		case 2<<3 | length:
			if m.Labels == nil {
				m.Labels = map[string]string{}
			}
			r.fail("labels", d.label(r.p, m.Labels))
		case 3<<3 | length:
			m.Value = r.bytes()
		}
	}
	return r.err
}

func (d *clientDecoder) label(b []byte, labels map[string]string) error {
	if err := d.part(); err != nil {
		return err
	}
	var k, v string
	r := fields{rest: b}
	for r.next() {
		switch r.key {
		case 1<<3 | length:
			k = r.text()
		case 2<<3 | length:
			v = r.text()
		}
	}
	if r.err == nil {
		labels[k] = v
	}
	return r.err
}

func decodeRelease(b []byte, m *ldlmv2.Release) error {
	r := fields{rest: b}
	for r.next() {
		switch r.key {
		case 4<<3 | varint:
			m.All = r.bool()
		default:
			r.hold(&m.Name, &m.Token, &m.Key)
		}
	}
	return r.err
}

func decodeRenew(b []byte, m *ldlmv2.Renew) error {
	r := fields{rest: b}
	for r.next() {
		switch r.key {
		case 4<<3 | varint:
			m.LeaseUs = int64(r.v)
		case 5<<3 | varint:
			m.All = r.bool()
		default:
			r.hold(&m.Name, &m.Token, &m.Key)
		}
	}
	return r.err
}

func decodeDowngrade(b []byte, m *ldlmv2.Downgrade) error {
	r := fields{rest: b}
	for r.next() {
		r.hold(&m.Name, &m.Token, &m.Key)
	}
	return r.err
}

func decodeSetValue(b []byte, m *ldlmv2.SetValue) error {
	r := fields{rest: b}
	for r.next() {
		switch r.key {
		case 4<<3 | length:
			m.Value = r.bytes()
		default:
			r.hold(&m.Name, &m.Token, &m.Key)
		}
	}
	return r.err
}

// hold decodes the fields that all operations on a hold begin with.
func (f *fields) hold(name *string, token *uint64, key *string) {
	switch f.key {
	case 1<<3 | length:
		*name = f.text()
	case 2<<3 | varint:
		*token = f.v
	case 3<<3 | length:
		*key = f.text()
	}
}
