package lock

// wire writes values or reads them: exactly one of out and in is set. A value
// that is listed once for both ways cannot be written in one way and read in
// another.
type wire struct {
	out *encoder
	in  *decoder
}

// number moves an unsigned number.
func number[T ~uint32 | ~uint64](w *wire, v *T) {
	switch {
	case w.in == nil:
		w.out.uint(uint64(*v))
	case uint64(^T(0)) == 1<<32-1:
		*v = T(w.in.uint32())
	default:
		*v = T(w.in.uint())
	}
}

// signed moves a number that may be negative.
func signed[T ~int | ~int64](w *wire, v *T) {
	if w.in == nil {
		w.out.int(int64(*v))
		return
	}
	n := w.in.int()
	if *v = T(n); int64(*v) != n {
		w.in.fail(errTruncated) // an int of another machine, too large for this one
	}
}

// octet moves a number of one byte. Values that are not defined come through:
// Apply refuses them with a code.
func octet[T ~uint8](w *wire, v *T) {
	if w.in == nil {
		w.out.byte(byte(*v))
	} else {
		*v = T(w.in.byte())
	}
}

func (w *wire) flag(v *bool) {
	if w.in == nil {
		w.out.flag(*v)
	} else {
		*v = w.in.flag()
	}
}

func (w *wire) text(v *string) {
	if w.in == nil {
		w.out.text(*v)
	} else {
		*v = w.in.text()
	}
}

func (w *wire) bytes(v *[]byte) {
	if w.in == nil {
		w.out.bytes(*v)
	} else {
		*v = w.in.bytes()
	}
}

func (w *wire) key(v *Key) {
	if w.in == nil {
		w.out.key(v)
	} else {
		*v = w.in.key()
	}
}

func (w *wire) secret(v *SecretHash) {
	if w.in == nil {
		w.out.secret(v)
	} else {
		*v = w.in.secret()
	}
}

// proof moves the hash of a secret that may be missing.
func (w *wire) proof(v **SecretHash) {
	given := *v != nil
	if w.flag(&given); !given {
		return
	}
	if w.in != nil {
		*v = &SecretHash{}
	}
	w.secret(*v)
}

func (w *wire) info(v **Info) {
	if w.in == nil {
		w.out.info(*v)
	} else {
		*v = w.in.info()
	}
}

func (w *wire) note(v **Note) {
	if w.in == nil {
		w.out.note(*v)
	} else {
		*v = w.in.note()
	}
}

func (w *wire) items(v *[]Item) {
	n := uint64(len(*v))
	number(w, &n)
	if w.in != nil {
		if n > uint64(len(w.in.b))/leastItem {
			w.in.fail(errTruncated)
			return
		}
		if n > 0 {
			*v = make([]Item, n)
		}
	}
	for i := range *v {
		it := &(*v)[i]
		w.text(&it.Name)
		number(w, &it.Size)
		number(w, &it.Permits)
		octet(w, &it.Mode)
	}
}

// leastItem is how many bytes the shortest item takes.
const leastItem = 4

func (c *Caller) fields(w *wire) {
	number(w, &c.Session)
	number(w, &c.Attach)
	w.proof(&c.Proof)
	number(w, &c.Slot)
	number(w, &c.Seq)
	w.text(&c.RequestID)
	number(w, &c.Attempt)
}

func (h *Hold) fields(w *wire) {
	w.text(&h.Name)
	w.key(&h.Key)
	number(w, &h.Token)
	w.flag(&h.All)
}

func (c *Acquire) fields(w *wire) {
	c.Caller.fields(w)
	w.items(&c.Items)
	signed(w, &c.Wait)
	signed(w, &c.Lease)
	signed(w, &c.LockDelay)
	w.key(&c.Key)
	w.note(&c.Note)
}

func (c *Release) fields(w *wire) {
	c.Caller.fields(w)
	c.Hold.fields(w)
}

func (c *Renew) fields(w *wire) {
	c.Caller.fields(w)
	c.Hold.fields(w)
	signed(w, &c.Lease)
}

func (c *Downgrade) fields(w *wire) {
	c.Caller.fields(w)
	c.Hold.fields(w)
}

func (c *SetValue) fields(w *wire) {
	c.Caller.fields(w)
	c.Hold.fields(w)
	w.bytes(&c.Value)
}

func (c *Open) fields(w *wire) {
	w.secret(&c.Secret)
	signed(w, &c.TTL)
	octet(w, &c.OnEnd)
	number(w, &c.Incarnation)
	w.info(&c.Info)
	w.bytes(&c.Value)
}

func (c *Resume) fields(w *wire) {
	number(w, &c.Session)
	w.secret(&c.Secret)
	number(w, &c.Incarnation)
	octet(w, &c.OnEnd)
	w.info(&c.Info)
}

func (c *Detach) fields(w *wire) {
	number(w, &c.Session)
	number(w, &c.Attach)
	signed(w, &c.Silent)
	w.flag(&c.ByClient)
}

func (c *Kill) fields(w *wire) {
	number(w, &c.Session)
	w.text(&c.Reason)
}

func (c *Disown) fields(w *wire) {
	number(w, &c.Session)
	number(w, &c.Attach)
	signed(w, &c.Lease)
}

func (c *Birth) fields(w *wire) {
	number(w, &c.Wall)
	signed(w, &c.Quiet)
}

func (c *Join) fields(w *wire) {
	w.text(&c.Member)
	w.flag(&c.SameDirectory)
}

func (c *Beat) fields(w *wire) {
	number(w, &c.Incarnation)
	number(w, &c.Number)
}

func (c *EndMember) fields(w *wire) {
	number(w, &c.Incarnation)
	w.flag(&c.Own)
}

func (c *ForceRelease) fields(w *wire) {
	w.text(&c.Name)
	number(w, &c.Token)
	w.text(&c.Reason)
	w.flag(&c.Wait)
}

func (c *Resize) fields(w *wire) {
	w.text(&c.Name)
	number(w, &c.Size)
}

func (c *Collect) fields(w *wire) {
	signed(w, &c.Idle)
	signed(w, &c.Max)
}

func (c *Lead) fields(w *wire) { w.text(&c.Member) }

func (c *Mark) fields(w *wire) {
	number(w, &c.Of)
	number(w, &c.Agreed[0])
	number(w, &c.Agreed[1])
}

func (c *SetSettings) fields(w *wire) {
	s := &c.Settings
	number(w, &s.Format)
	for _, n := range s.counts() {
		signed(w, n)
	}
	for _, d := range s.spans() {
		signed(w, d)
	}
	if s.Format >= LimitsFormat {
		signed(w, &s.MaxWaiters)
		signed(w, &s.MaxBytes)
	}
}
