package wire

import ldlmv2 "github.com/ldlm-io/ldlm/api/v2"

// DecodeServer replaces the content of f by the frame in b, all of b. Unknown
// fields are skipped, strings must be valid UTF-8. An error is a
// [*FrameError]; f is then of no use.
//
// Only the slices of f are used again for the next frame. What they point to is
// new for each frame and may be kept. Nothing in f aliases b.
func DecodeServer(b []byte, f *ldlmv2.ServerFrame) error {
	answers, lost := f.Answers[:0], f.Lost[:0]
	f.Reset()
	f.Answers, f.Lost = answers, lost
	var block []ldlmv2.Answer
	r := fields{rest: b}
	for r.next() {
		switch r.key {
		case 3<<3 | length:
			if len(block) == 0 {
				block = make([]ldlmv2.Answer, 1+countAnswers(r.rest))
			}
			a := &block[0]
			block = block[1:]
			f.Answers = append(f.Answers, a)
			r.fail("answers", decodeAnswer(r.p, a))
		case 4<<3 | length:
			l := new(ldlmv2.Lost)
			f.Lost = append(f.Lost, l)
			r.fail("lost", decodeLost(r.p, l))
		case 5<<3 | length:
			f.KeepAlive = fresh(f.KeepAlive, nil)
			r.fail("keep_alive", decodeKeepAlive(r.p, f.KeepAlive))
		default:
			decodeRareServer(&r, f)
		}
	}
	return r.err
}

// countAnswers counts the answers at the beginning of the rest of a frame, to
// allocate them together: most frames have nothing else.
func countAnswers(b []byte) int {
	const most = 64
	n := 0
	for r := (fields{rest: b}); n < most && r.next() && r.key == 3<<3|length; n++ {
	}
	return n
}

func decodeRareServer(r *fields, f *ldlmv2.ServerFrame) {
	switch r.key {
	case 1<<3 | length:
		f.Welcome = fresh(f.Welcome, nil)
		r.fail("welcome", decodeRare(r.p, f.Welcome))
	case 2<<3 | length:
		f.Alive = fresh(f.Alive, nil)
		r.fail("alive", decodeRare(r.p, f.Alive))
	case 6<<3 | length:
		f.Leader = fresh(f.Leader, nil)
		r.fail("leader", decodeRare(r.p, f.Leader))
	case 7<<3 | length:
		f.GoAway = fresh(f.GoAway, nil)
		r.fail("go_away", decodeRare(r.p, f.GoAway))
	case 8<<3 | length:
		f.End = fresh(f.End, nil)
		r.fail("end", decodeRare(r.p, f.End))
	}
}

func decodeAnswer(b []byte, m *ldlmv2.Answer) error {
	r := fields{rest: b}
	for r.next() {
		switch r.key {
		case 1<<3 | varint:
			m.Slot = uint32(r.v)
		case 2<<3 | varint:
			m.Seq = r.v
		case 3<<3 | varint:
			m.Code = ldlmv2.Code(r.v)
		case 4<<3 | length:
			m.Status = fresh(m.Status, nil)
			r.fail("status", decodeRare(r.p, m.Status))
		default:
			decodeGrant(&r, m)
		}
	}
	return r.err
}

// decodeGrant decodes the fields of an answer that say what was granted, and
// what was queued.
func decodeGrant(r *fields, m *ldlmv2.Answer) {
	switch r.key {
	case 5<<3 | varint:
		m.Token = r.v
	case 6<<3 | varint:
		m.Fence = r.v
	case 7<<3 | length:
		m.Key = r.bytes()
	case 8<<3 | varint:
		m.AtOnce = r.bool()
	case 9<<3 | varint:
		m.WaitedUs = int64(r.v)
	case 10<<3 | varint:
		m.Ahead = uint32(r.v)
	case 11<<3 | varint:
		m.Self = r.bool()
	case 12<<3 | varint:
		m.Fences = append(m.Fences, r.v)
	case 12<<3 | length:
		m.Fences = r.packed(m.Fences)
	}
}

func decodeLost(b []byte, m *ldlmv2.Lost) error {
	r := fields{rest: b}
	for r.next() {
		switch r.key {
		case 1<<3 | length:
			m.Name = r.string("name")
		case 2<<3 | varint:
			m.Token = r.v
		case 3<<3 | varint:
			m.Reason = ldlmv2.EndReason(r.v)
		case 4<<3 | varint:
			m.Revoked = r.bool()
		}
	}
	return r.err
}
