package lock

// Digests tell a retry from another question under the same name. They cover
// what the caller asked, not what its member added (key, attach, attempt), nor
// how much of the wait is left.

const (
	digestAcquire = 128 + iota
	digestRelease
	digestRenew
	digestDowngrade
	digestSetValue
)

func (c *Acquire) digest() uint64 {
	m := newMixer(digestAcquire)
	m.word(uint64(len(c.Items)))
	for i := range c.Items {
		it := &c.Items[i]
		m.text(it.Name)
		m.word(uint64(it.Size)<<32 | uint64(it.Permits))
		m.word(uint64(it.Mode))
	}
	m.flag(c.Wait != 0)
	m.word(uint64(c.Lease))
	m.word(uint64(c.LockDelay))
	m.note(c.Note)
	return m.sum()[0]
}

func (k *Key) digest() uint64 {
	m := newMixer(digestAcquire)
	m.key(k)
	return m.sum()[0]
}

func (c *Release) digest() uint64 {
	m := c.Hold.digest(digestRelease)
	return m.sum()[0]
}

func (c *Renew) digest() uint64 {
	m := c.Hold.digest(digestRenew)
	m.word(uint64(c.Lease))
	return m.sum()[0]
}

func (c *Downgrade) digest() uint64 {
	m := c.Hold.digest(digestDowngrade)
	return m.sum()[0]
}

func (c *SetValue) digest() uint64 {
	m := c.Hold.digest(digestSetValue)
	m.bytes(c.Value)
	return m.sum()[0]
}

func (h *Hold) digest(kind uint64) mixer {
	m := newMixer(kind)
	m.text(h.Name)
	m.key(&h.Key)
	m.word(uint64(h.Token))
	m.flag(h.All)
	return m
}
