package wire

import (
	"google.golang.org/protobuf/encoding/protowire"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

// AppendServer appends a frame to b, without its length, and returns the
// extended slice. It is otherwise as [AppendClient].
func AppendServer(b []byte, f *ldlmv2.ServerFrame) []byte {
	var at int
	if f.Welcome != nil {
		b, at = begin(b, 1)
		b = end(appendWelcome(b, f.Welcome), at)
	}
	if f.Alive != nil {
		b, at = begin(b, 2)
		b = end(appendAlive(b, f.Alive), at)
	}
	for _, a := range f.Answers {
		b, at = begin(b, 3)
		b = end(appendAnswer(b, a), at)
	}
	for _, l := range f.Lost {
		b, at = begin(b, 4)
		b = appendString(b, 1, l.Name)
		b = appendUint(b, 2, l.Token)
		b = appendUint(b, 3, uint64(l.Reason))
		b = end(appendBool(b, 4, l.Revoked), at)
	}
	if f.KeepAlive != nil {
		b, at = begin(b, 5)
		b = end(appendKeepAlive(b, f.KeepAlive), at)
	}
	b = appendLeader(b, 6, f.Leader)
	if f.GoAway != nil {
		b, at = begin(b, 7)
		b = end(appendString(b, 1, f.GoAway.Reason), at)
	}
	return appendStatus(b, 8, f.End)
}

func appendWelcome(b []byte, m *ldlmv2.Welcome) []byte {
	b = appendUint(b, 1, uint64(m.Version))
	b = appendFeatures(b, m.Features)
	b = appendUint(b, 3, m.Session)
	b = appendUint(b, 4, m.Attach)
	b = appendUint(b, 5, uint64(m.TtlUs))
	b = appendUint(b, 6, uint64(m.ValidForUs))
	b = appendUint(b, 7, uint64(m.KeepAliveEveryUs))
	b = appendBool(b, 8, m.Resumed)
	b = appendString(b, 9, m.Server)
	b = appendLeader(b, 10, m.Leader)
	b = appendUint(b, 11, uint64(m.MaxFrameBytes))
	b = appendUint(b, 12, uint64(m.MaxSlots))
	return appendUint(b, 13, uint64(m.MaxWaitingSlots))
}

func appendAlive(b []byte, m *ldlmv2.Alive) []byte {
	b = appendPacked(b, 1, m.Tokens)
	for _, s := range m.Slots {
		var at int
		b, at = begin(b, 2)
		b = appendUint(b, 1, uint64(s.Slot))
		b = appendUint(b, 2, s.Seq)
		b = end(appendBool(b, 3, s.Waiting), at)
	}
	return appendBool(b, 3, m.Last)
}

func appendAnswer(b []byte, m *ldlmv2.Answer) []byte {
	b = appendUint(b, 1, uint64(m.Slot))
	b = appendUint(b, 2, m.Seq)
	b = appendUint(b, 3, uint64(m.Code))
	b = appendStatus(b, 4, m.Status)
	b = appendUint(b, 5, m.Token)
	b = appendUint(b, 6, m.Fence)
	b = appendString(b, 7, m.Key)
	b = appendBool(b, 8, m.AtOnce)
	b = appendUint(b, 9, uint64(m.WaitedUs))
	b = appendUint(b, 10, uint64(m.Ahead))
	b = appendBool(b, 11, m.Self)
	return appendPacked(b, 12, m.Fences)
}

func appendLeader(b []byte, n protowire.Number, m *ldlmv2.Leader) []byte {
	if m == nil {
		return b
	}
	b, at := begin(b, n)
	b = appendString(b, 1, m.Address)
	b = appendBool(b, 2, m.Self)
	b = appendBool(b, 3, m.Known)
	for _, s := range m.Members {
		var at int
		b, at = begin(b, 4)
		b = end(append(b, s...), at)
	}
	return end(b, at)
}

func appendStatus(b []byte, n protowire.Number, m *ldlmv2.Status) []byte {
	if m == nil {
		return b
	}
	b, at := begin(b, n)
	b = appendUint(b, 1, uint64(m.Code))
	b = appendString(b, 2, m.Message)
	b = appendUint(b, 3, uint64(m.Ending))
	b = appendString(b, 4, m.Field)
	b = appendUint(b, 5, uint64(m.Limit))
	b = appendBlocker(b, 6, m.Blocker)
	b = appendUint(b, 7, uint64(m.Ended))
	return end(b, at)
}

func appendBlocker(b []byte, n protowire.Number, m *ldlmv2.Blocker) []byte {
	if m == nil {
		return b
	}
	b, at := begin(b, n)
	b = appendString(b, 1, m.Name)
	b = appendHolder(b, 2, m.Holder)
	b = appendUint(b, 3, uint64(m.Holders))
	b = appendUint(b, 4, uint64(m.Waiting))
	b = appendUint(b, 5, uint64(m.LongestWaitUs))
	b = appendUint(b, 6, uint64(m.DelayLeftUs))
	b = appendBool(b, 7, m.Self)
	return end(b, at)
}

func appendHolder(b []byte, n protowire.Number, m *ldlmv2.Holder) []byte {
	if m == nil {
		return b
	}
	b, at := begin(b, n)
	b = appendUint(b, 1, m.Token)
	b = appendUint(b, 2, m.Session)
	if m.Client != nil {
		var at int
		b, at = begin(b, 3)
		b = end(appendClientInfo(b, m.Client), at)
	}
	b = appendUint(b, 4, uint64(m.AgeUs))
	b = appendUint(b, 5, uint64(m.LeaseLeftUs))
	b = appendUint(b, 6, uint64(m.Permits))
	b = appendUint(b, 7, uint64(m.Mode))
	b = appendString(b, 8, m.Reason)
	b = appendLabels(b, 9, m.Labels)
	b = appendString(b, 10, m.Value)
	b = appendString(b, 11, m.KeyPrefix)
	b = appendBool(b, 12, m.Revoked)
	b = appendBool(b, 13, m.Delay)
	return end(b, at)
}
