package wire

import (
	"google.golang.org/protobuf/encoding/protowire"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

// AppendClient appends a frame to b, without its length, and returns the
// extended slice. Appending one frame right after another makes one frame with
// the content of both. Strings are sent as they are: that they are valid UTF-8
// is the caller's care, and the receiver's to check.
func AppendClient(b []byte, f *ldlmv2.ClientFrame) []byte {
	var at int
	if f.Hello != nil {
		b, at = begin(b, 1)
		b = end(appendHello(b, f.Hello), at)
	}
	if f.KeepAlive != nil {
		b, at = begin(b, 2)
		b = end(appendKeepAlive(b, f.KeepAlive), at)
	}
	for _, op := range f.Ops {
		b, at = begin(b, 3)
		b = end(appendOp(b, op), at)
	}
	if f.Close != nil {
		b, at = begin(b, 4)
		b = end(b, at)
	}
	return b
}

func appendHello(b []byte, m *ldlmv2.Hello) []byte {
	b = appendUint(b, 1, uint64(m.Version))
	b = appendFeatures(b, m.Features)
	b = appendString(b, 3, m.Credential)
	if m.Client != nil {
		var at int
		b, at = begin(b, 4)
		b = end(appendClientInfo(b, m.Client), at)
	}
	b = appendString(b, 5, m.Secret)
	b = appendUint(b, 6, m.Session)
	b = appendUint(b, 7, uint64(m.TtlUs))
	b = appendUint(b, 8, uint64(m.OnEndOfStream))
	return appendString(b, 9, m.Value)
}

// appendFeatures appends field 2 of hello and welcome. An empty name counts too.
func appendFeatures(b []byte, features []string) []byte {
	for _, s := range features {
		var at int
		b, at = begin(b, 2)
		b = end(append(b, s...), at)
	}
	return b
}

func appendClientInfo(b []byte, m *ldlmv2.ClientInfo) []byte {
	b = appendString(b, 1, m.Host)
	b = appendUint(b, 2, uint64(m.Pid))
	b = appendString(b, 3, m.User)
	b = appendString(b, 4, m.Program)
	b = appendString(b, 5, m.Library)
	b = appendLabels(b, 6, m.Labels)
	b = appendString(b, 7, m.Remote)
	b = appendString(b, 8, m.Transport)
	return appendString(b, 9, m.Principal)
}

func appendKeepAlive(b []byte, m *ldlmv2.KeepAlive) []byte {
	b = appendUint(b, 1, m.Number)
	return appendUint(b, 2, uint64(m.ValidForUs))
}

func appendOp(b []byte, m *ldlmv2.Op) []byte {
	b = appendUint(b, 1, uint64(m.Slot))
	b = appendUint(b, 2, m.Seq)
	var at int
	if m.Acquire != nil {
		b, at = begin(b, 3)
		b = end(appendAcquire(b, m.Acquire), at)
	}
	if m.AcquireAll != nil {
		b, at = begin(b, 4)
		b = end(appendAcquireAll(b, m.AcquireAll), at)
	}
	if m.Release != nil {
		b, at = begin(b, 5)
		b = appendHold(b, m.Release.Name, m.Release.Token, m.Release.Key)
		b = end(appendBool(b, 4, m.Release.All), at)
	}
	if m.Renew != nil {
		b, at = begin(b, 6)
		b = appendHold(b, m.Renew.Name, m.Renew.Token, m.Renew.Key)
		b = appendUint(b, 4, uint64(m.Renew.LeaseUs))
		b = end(appendBool(b, 5, m.Renew.All), at)
	}
	if m.Downgrade != nil {
		b, at = begin(b, 7)
		b = end(appendHold(b, m.Downgrade.Name, m.Downgrade.Token, m.Downgrade.Key), at)
	}
	if m.SetValue != nil {
		b, at = begin(b, 8)
		b = appendHold(b, m.SetValue.Name, m.SetValue.Token, m.SetValue.Key)
		b = end(appendString(b, 4, m.SetValue.Value), at)
	}
	if m.Cancel != nil {
		b, at = begin(b, 9)
		b = end(b, at)
	}
	return b
}

// appendHold appends the fields that all operations on a hold begin with.
func appendHold(b []byte, name string, token uint64, key string) []byte {
	b = appendString(b, 1, name)
	b = appendUint(b, 2, token)
	return appendString(b, 3, key)
}

func appendAcquire(b []byte, m *ldlmv2.Acquire) []byte {
	b = appendString(b, 1, m.Name)
	b = appendUint(b, 2, uint64(m.Size))
	b = appendUint(b, 3, uint64(m.Permits))
	b = appendUint(b, 4, uint64(m.Mode))
	b = appendUint(b, 5, uint64(m.WaitUs))
	b = appendUint(b, 6, uint64(m.LeaseUs))
	b = appendUint(b, 7, uint64(m.LockDelayUs))
	return appendNote(b, 8, m.Note)
}

func appendAcquireAll(b []byte, m *ldlmv2.AcquireAll) []byte {
	for _, it := range m.Items {
		var at int
		b, at = begin(b, 1)
		b = appendString(b, 1, it.Name)
		b = appendUint(b, 2, uint64(it.Size))
		b = appendUint(b, 3, uint64(it.Permits))
		b = end(appendUint(b, 4, uint64(it.Mode)), at)
	}
	b = appendUint(b, 2, uint64(m.WaitUs))
	b = appendUint(b, 3, uint64(m.LeaseUs))
	b = appendUint(b, 4, uint64(m.LockDelayUs))
	return appendNote(b, 5, m.Note)
}

func appendNote(b []byte, n protowire.Number, m *ldlmv2.Note) []byte {
	if m == nil {
		return b
	}
	b, at := begin(b, n)
	b = appendString(b, 1, m.Reason)
	b = appendLabels(b, 2, m.Labels)
	return end(appendString(b, 3, m.Value), at)
}
