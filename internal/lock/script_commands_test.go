package lock

import (
	"reflect"
)

// handlers make commands out of their lines.
var handlers = map[string]func(*args) Command{
	"birth":         handleBirth,
	"set":           handleSet,
	"join":          handleJoin,
	"beat":          handleBeat,
	"end_member":    handleEndMember,
	"open":          handleOpen,
	"resume":        handleResume,
	"keep_alive":    func(a *args) Command { return &KeepAlive{a.caller()} },
	"detach":        handleDetach,
	"close":         func(a *args) Command { return &Close{a.caller()} },
	"kill":          handleKill,
	"disown":        handleDisown,
	"acquire":       handleAcquire,
	"release":       handleRelease,
	"renew":         handleRenew,
	"downgrade":     handleDowngrade,
	"set_value":     handleSetValue,
	"cancel":        func(a *args) Command { return &Cancel{a.caller()} },
	"force_release": handleForceRelease,
	"resize":        handleResize,
	"collect":       handleCollect,
	"mark":          func(*args) Command { return &Mark{} },
	"lead":          func(a *args) Command { return &Lead{a.next()} },
}

// birth [wall=N] [quiet=D]
func handleBirth(a *args) Command {
	return &Birth{Wall: a.uint("wall", 0), Quiet: a.span("quiet")}
}

// set max_locks=3 default_ttl=5s ...: all others are the defaults.
func handleSet(a *args) Command {
	c := &SetSettings{}
	v := reflect.ValueOf(&c.Settings).Elem()
	for i := range v.NumField() {
		name := snake(v.Type().Field(i).Name)
		switch text, ok := a.option(name); {
		case !ok:
		case v.Field(i).Type() == reflect.TypeFor[Duration]():
			v.Field(i).SetInt(int64(a.s.span(text)))
		case v.Field(i).Kind() == reflect.Uint32:
			v.Field(i).SetUint(a.number(text))
		case text == "-1":
			v.Field(i).SetInt(-1)
		default:
			v.Field(i).SetInt(int64(a.number(text)))
		}
	}
	return c
}

// join MEMBER [same]
func handleJoin(a *args) Command {
	same := a.flag("same")
	return &Join{Member: a.next(), SameDirectory: same}
}

// beat [member=M] [number=N]: the number grows by itself.
func handleBeat(a *args) Command {
	a.s.beats++
	return &Beat{Incarnation: a.incarnation(), Number: a.uint("number", a.s.beats)}
}

// end_member [member=M] [own]
func handleEndMember(a *args) Command {
	return &EndMember{Incarnation: a.incarnation(), Own: a.flag("own")}
}

// open CLIENT [calls] [ttl=D] [on_end=P] [member=M] [host=H] [user=U] [labels=L] [value=V]
func handleOpen(a *args) Command {
	calls := a.flag("calls")
	c := &Open{
		Secret: a.s.client(a.next()).secret, TTL: a.span("ttl"), OnEnd: a.onEnd(),
		Info: a.info(), Value: a.bytes("value"), Incarnation: a.incarnation(),
	}
	if calls {
		c.Incarnation = 0
	}
	return c
}

// resume CLIENT [secret=OTHER] [session=N] [member=M] [on_end=P] [host=H] [user=U] [labels=L]
func handleResume(a *args) Command {
	c := a.s.client(a.next())
	r := &Resume{
		Session: SessionNumber(a.uint("session", uint64(c.number))), Secret: c.secret,
		Incarnation: a.incarnation(), OnEnd: a.onEnd(), Info: a.info(),
	}
	if other, ok := a.option("secret"); ok {
		r.Secret = secretOf(other)
	}
	return r
}

// detach CLIENT [attach=N] [silent=D] [by_client]
func handleDetach(a *args) Command {
	byClient := a.flag("by_client")
	c := a.s.client(a.next())
	return &Detach{
		Session: c.number, Attach: a.uint("attach", c.attach), Silent: a.span("silent"), ByClient: byClient,
	}
}

// kill CLIENT [reason=R]
func handleKill(a *args) Command {
	return &Kill{Session: a.s.client(a.next()).number, Reason: a.text("reason")}
}

// disown CLIENT [attach=N] [lease=D]
func handleDisown(a *args) Command {
	return &Disown{Session: a.s.client(a.next()).number, Attach: a.uint("attach", 0), Lease: a.span("lease")}
}

// acquire CLIENT ITEMS [wait=D] [lease=D] [lock_delay=D] [key=N] [reason=R] [value=V] [labels=L]
// and how the request is named; without that, a slot that was not used before.
func handleAcquire(a *args) Command {
	client := a.s.client(a.plain[0])
	_, slot := a.options["slot"]
	_, id := a.options["id"]
	unnamed := a.flag("unnamed")
	c := &Acquire{Caller: a.caller(), Items: a.items()}
	if !slot && !id && !unnamed {
		c.Slot, c.Seq = client.slots, 1
		client.slots++
	}
	c.Wait, c.Lease, c.LockDelay = a.span("wait"), a.span("lease"), a.span("lock_delay")
	c.Key, c.Note = a.key(), a.note()
	return c
}

// release CLIENT LOCK [key=N] [token=N] [all]
func handleRelease(a *args) Command {
	c := &Release{Caller: a.caller()}
	c.Hold = a.hold(c.Session)
	return c
}

// renew CLIENT LOCK [key=N] [token=N] [all] lease=D
func handleRenew(a *args) Command {
	c := &Renew{Caller: a.caller(), Lease: a.span("lease")}
	c.Hold = a.hold(c.Session)
	return c
}

// downgrade CLIENT LOCK [key=N] [token=N]
func handleDowngrade(a *args) Command {
	c := &Downgrade{Caller: a.caller()}
	c.Hold = a.hold(c.Session)
	return c
}

// set_value CLIENT [LOCK] [key=N] [token=N] value=V
func handleSetValue(a *args) Command {
	c := &SetValue{Caller: a.caller(), Value: a.bytes("value")}
	c.Hold = a.hold(c.Session)
	return c
}

// force_release LOCK [wait] [token=N] [reason=R]; without token the oldest hold's.
func handleForceRelease(a *args) Command {
	c := &ForceRelease{Wait: a.flag("wait"), Reason: a.text("reason"), Name: a.next()}
	v, _ := a.s.table.Lookup(c.Name, 1, 0)
	if len(v.Holders) > 0 {
		c.Token = v.Holders[0].Token
	}
	c.Token = Token(a.uint("token", uint64(c.Token)))
	return c
}

// resize LOCK SIZE
func handleResize(a *args) Command {
	return &Resize{Name: a.next(), Size: uint32(a.number(a.next()))}
}

// collect [idle=D] [max=N]
func handleCollect(a *args) Command {
	c := &Collect{Idle: a.span("idle"), Max: int(a.uint("max", 100))}
	return c
}
