package lock

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// args are the words of a command's line: plain ones in their order, and
// options, which are name=value. Values in quotes are Go strings.
type args struct {
	s       *script
	word    string
	plain   []string
	options map[string]string
}

func (s *script) parse(line string) *args {
	words := strings.Fields(line)
	a := &args{s: s, word: words[0], options: map[string]string{}}
	for _, w := range words[1:] {
		name, value, isOption := strings.Cut(w, "=")
		if strings.HasPrefix(w, `"`) || !isOption {
			a.plain = append(a.plain, a.unquote(w))
		} else {
			a.options[name] = a.unquote(value)
		}
	}
	return a
}

func (a *args) fatal(format string, rest ...any) {
	a.s.t.Helper()
	a.s.t.Fatalf("line %d: %s: "+format, append([]any{a.s.line, a.word}, rest...)...)
}

func (a *args) unquote(w string) string {
	if !strings.HasPrefix(w, `"`) {
		return w
	}
	u, err := strconv.Unquote(w)
	if err != nil {
		a.fatal("%s: %v", w, err)
	}
	return u
}

// next takes the next plain word, "" if there is none.
func (a *args) next() string {
	if len(a.plain) == 0 {
		return ""
	}
	w := a.plain[0]
	a.plain = a.plain[1:]
	return w
}

// flag takes a plain word wherever it stands.
func (a *args) flag(name string) bool {
	i := slices.Index(a.plain, name)
	if i >= 0 {
		a.plain = slices.Delete(a.plain, i, i+1)
	}
	return i >= 0
}

// option takes an option.
func (a *args) option(name string) (string, bool) {
	v, ok := a.options[name]
	delete(a.options, name)
	return v, ok
}

func (a *args) text(name string) string { v, _ := a.option(name); return v }

func (a *args) bytes(name string) []byte {
	v, ok := a.option(name)
	if !ok {
		return nil
	}
	return []byte(v)
}

func (a *args) span(name string) Duration {
	if v, ok := a.option(name); ok {
		return a.s.span(v)
	}
	return 0
}

func (a *args) number(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		a.fatal("%v", err)
	}
	return n
}

// uint takes an option that is a number, or gives what stands in for it.
func (a *args) uint(name string, otherwise uint64) uint64 {
	if v, ok := a.option(name); ok {
		return a.number(v)
	}
	return otherwise
}

// done fails if words are left that no handler has taken.
func (a *args) done() {
	if len(a.plain)+len(a.options) > 0 {
		a.fatal("what is %q, %q?", a.plain, slices.Sorted(maps.Keys(a.options)))
	}
}

// caller takes the client's name and how it names its request: slot=, seq=,
// id=, attempt=; attach=; proof (by secret), proof=OTHER (by another's).
func (a *args) caller() Caller {
	c := a.s.client(a.next())
	r := Caller{
		Session: c.number, Slot: uint32(a.uint("slot", 0)), Seq: a.uint("seq", 0),
		RequestID: a.text("id"), Attempt: a.uint("attempt", 0),
	}
	if n, ok := a.option("session"); ok {
		r.Session = SessionNumber(a.number(n))
	}
	attach, byAttach := a.option("attach")
	other, byOther := a.option("proof")
	switch {
	case byAttach:
		r.Attach = a.number(attach)
	case byOther && other != "":
		r.Proof = &a.s.client(other).secret
	case byOther, c.secret == SecretHash{}: // proof= : nothing is shown at all
	case a.flag("proof") || c.attach == 0:
		r.Proof = &c.secret
	default:
		r.Attach = c.attach
	}
	return r
}

// items takes a word such as a,b:3/2,c~ : lock a; lock b of size 3, of which 2
// permits; lock c, shared (the ~ comes last).
func (a *args) items() []Item {
	word := a.next()
	if word == "nothing" {
		return nil
	}
	var items []Item
	for w := range strings.SplitSeq(word, ",") {
		var it Item
		w, shared := strings.CutSuffix(w, "~")
		if shared {
			it.Mode = Shared
		}
		w, permits, _ := strings.Cut(w, "/")
		name, size, _ := strings.Cut(w, ":")
		it.Name = name
		if permits != "" {
			it.Permits = uint32(a.number(permits))
		}
		if size != "" {
			it.Size = uint32(a.number(size))
		}
		items = append(items, it)
	}
	return items
}

// key takes key=N; without it the next key is drawn.
func (a *args) key() Key {
	if v, ok := a.option("key"); ok {
		return keyOf(a.number(v))
	}
	a.s.keys++
	return keyOf(a.s.keys)
}

// hold takes a lock's name and key=, token= or nothing: then it is the oldest
// hold that the caller has of the lock.
func (a *args) hold(n SessionNumber) Hold {
	h := Hold{Name: a.next(), All: a.flag("all")}
	key, byKey := a.option("key")
	token, byToken := a.option("token")
	if byKey {
		h.Key = keyOf(a.number(key))
	}
	if byToken {
		h.Token = Token(a.number(token))
	}
	if byKey || byToken {
		return h
	}
	for _, v := range a.s.table.HoldsOf(n, 1000) {
		if v.Name == h.Name {
			h.Token = v.Token
			break
		}
	}
	return h
}

// labels takes labels=a:1,b:2.
func (a *args) labels() []Label {
	v, ok := a.option("labels")
	if !ok {
		return nil
	}
	var labels []Label
	for w := range strings.SplitSeq(v, ",") {
		key, value, _ := strings.Cut(w, ":")
		labels = append(labels, Label{key, value})
	}
	return labels
}

// incarnation takes member=NAME or incarnation=N; without it the newest.
func (a *args) incarnation() Incarnation {
	if v, ok := a.option("incarnation"); ok {
		return Incarnation(a.number(v))
	}
	name, ok := a.option("member")
	if !ok {
		name = a.s.lastMember
	}
	return a.s.members[name]
}

// onEnd takes on_end=POLICY.
func (a *args) onEnd() OnEnd {
	v, ok := a.option("on_end")
	if !ok {
		return OnEndKeep
	}
	for o := OnEndKeep; o <= OnEndDisown; o++ {
		if o.String() == v {
			return o
		}
	}
	return OnEnd(a.number(v))
}

// info takes host=, user=, labels=, principal=; nil if there are none. quota=S/L/W/B
// bounds the principal's sessions, locks, waiters and bytes.
func (a *args) info() *Info {
	i := &Info{Host: a.text("host"), User: a.text("user"), Labels: a.labels(), Principal: a.text("principal")}
	if v, ok := a.option("quota"); ok {
		i.Quota = &Quota{}
		for n, w := range strings.Split(v, "/") {
			*i.Quota.values()[n] = int64(a.number(w))
		}
	}
	if i.Host == "" && i.User == "" && i.Labels == nil && i.Principal == "" {
		return nil
	}
	return i
}

// note takes reason=, value=, labels=; nil if there are none.
func (a *args) note() *Note {
	n := &Note{Reason: a.text("reason"), Value: a.bytes("value"), Labels: a.labels()}
	if n.Reason == "" && n.Value == nil && n.Labels == nil {
		return nil
	}
	return n
}
