package sessionapi

import (
	"slices"
	"strings"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// The functions of this file read messages into commands. What the protocol
// allows to be said and the lock table would not understand becomes something
// that the table refuses: only it may refuse a request, because its refusal is
// what the request's slot remembers. All but the caller is replaced.

// ReadAcquire reads a request for one lock.
func ReadAcquire(c *lock.Acquire, m *ldlmv2.Acquire) {
	*c = lock.Acquire{
		Caller: c.Caller,
		Items: append(c.Items[:0], lock.Item{
			Name: m.GetName(), Size: m.GetSize(), Permits: m.GetPermits(), Mode: modeFrom(m.GetMode()),
		}),
		Wait: lock.Duration(m.GetWaitUs()), Lease: lock.Duration(m.GetLeaseUs()),
		LockDelay: lock.Duration(m.GetLockDelayUs()), Note: noteFrom(m.GetNote()),
	}
}

// ReadAcquireAll reads a request for several locks.
func ReadAcquireAll(c *lock.Acquire, m *ldlmv2.AcquireAll) {
	items := c.Items[:0]
	for _, it := range m.GetItems() {
		items = append(items, lock.Item{
			Name: it.GetName(), Size: it.GetSize(), Permits: it.GetPermits(), Mode: modeFrom(it.GetMode()),
		})
	}
	*c = lock.Acquire{
		Caller: c.Caller, Items: items,
		Wait: lock.Duration(m.GetWaitUs()), Lease: lock.Duration(m.GetLeaseUs()),
		LockDelay: lock.Duration(m.GetLockDelayUs()), Note: noteFrom(m.GetNote()),
	}
}

// ReadRelease reads a release.
func ReadRelease(c *lock.Release, m *ldlmv2.Release) {
	c.Hold = holdFrom(m)
	c.All = m.GetAll()
}

// ReadRenew reads a renewal.
func ReadRenew(c *lock.Renew, m *ldlmv2.Renew) {
	c.Hold = holdFrom(m)
	c.All = m.GetAll()
	c.Lease = lock.Duration(m.GetLeaseUs())
}

// ReadDowngrade reads a downgrade.
func ReadDowngrade(c *lock.Downgrade, m *ldlmv2.Downgrade) { c.Hold = holdFrom(m) }

// ReadSetValue reads a change of a value.
func ReadSetValue(c *lock.SetValue, m *ldlmv2.SetValue) {
	c.Hold = holdFrom(m)
	c.Value = m.GetValue()
}

// holdFrom reads which hold an operation is about.
func holdFrom(m interface {
	GetName() string
	GetToken() uint64
	GetKey() string
}) lock.Hold {
	return lock.Hold{Name: m.GetName(), Token: lock.Token(m.GetToken()), Key: ParseKey(m.GetKey())}
}

// ReadInfo reads what a client says of itself, without what only its server can say.
func ReadInfo(m *ldlmv2.ClientInfo) *lock.Info {
	return &lock.Info{
		Host: m.GetHost(), PID: m.GetPid(), User: m.GetUser(), Program: m.GetProgram(),
		Library: m.GetLibrary(), Labels: labelsFrom(m.GetLabels()),
	}
}

func noteFrom(m *ldlmv2.Note) *lock.Note {
	if m == nil || m.GetReason() == "" && len(m.GetLabels()) == 0 && len(m.GetValue()) == 0 {
		return nil
	}
	return &lock.Note{Reason: m.GetReason(), Labels: labelsFrom(m.GetLabels()), Value: m.GetValue()}
}

func labelsFrom(m map[string]string) []lock.Label {
	if len(m) == 0 {
		return nil
	}
	labels := make([]lock.Label, 0, len(m))
	for k, v := range m {
		labels = append(labels, lock.Label{Key: k, Value: v})
	}
	slices.SortFunc(labels, func(a, b lock.Label) int { return strings.Compare(a.Key, b.Key) })
	return labels
}
