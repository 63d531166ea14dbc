package cluster

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// What a connection is for.
const (
	forJournal   = 'J'
	forQuestions = 'Q'
)

// magic begins every connection; its last byte is the version.
const magic = "LDLM-MEMBER\x01"

// helloWithin is how long the beginning of a connection may take.
const helloWithin = 5 * time.Second

// hello is what a dialer says first. An operator has no name of his own, who joins
// knows no cluster yet, and expects maybe nobody in particular.
type hello struct {
	purpose             byte
	cluster, from, whom string
}

func (h *hello) write(w io.Writer) error {
	b := append([]byte(magic), h.purpose)
	b = appendText(appendText(appendText(b, h.cluster), h.from), h.whom)
	_, err := w.Write(b)
	return err
}

func readHello(r io.Reader) (h hello, err error) {
	head := make([]byte, len(magic)+1)
	if _, err := io.ReadFull(r, head); err != nil {
		return h, err
	}
	if string(head[:len(magic)-1]) != magic[:len(magic)-1] {
		return h, errors.New("what speaks there is not a member")
	}
	if head[len(magic)-1] != magic[len(magic)-1] {
		return h, fmt.Errorf("it speaks version %d of the members' protocol, this program version %d", head[len(magic)-1], magic[len(magic)-1])
	}
	h.purpose = head[len(magic)]
	for _, text := range []*string{&h.cluster, &h.from, &h.whom} {
		if *text, err = readText(r); err != nil {
			return h, err
		}
	}
	return h, nil
}

// welcome is what a listener answers.
type welcome struct{ cluster, member, refusal string }

func (w *welcome) write(to io.Writer) error {
	b := appendText(appendText(appendText([]byte(magic), w.cluster), w.member), w.refusal)
	_, err := to.Write(b)
	return err
}

func readWelcome(r io.Reader) (w welcome, err error) {
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(r, head); err != nil || string(head) != magic {
		return w, errNoMember
	}
	for _, text := range []*string{&w.cluster, &w.member, &w.refusal} {
		if *text, err = readText(r); err != nil {
			return w, err
		}
	}
	return w, nil
}

// greet begins a connection from the dialer's side.
func (p *Port) greet(c net.Conn, h *hello) (*welcome, error) {
	if err := c.SetDeadline(time.Now().Add(helloWithin)); err != nil {
		return nil, err
	}
	if t, ok := c.(*tls.Conn); ok {
		if err := t.HandshakeContext(p.ctx); err != nil {
			return nil, err
		}
	}
	if err := h.write(c); err != nil {
		return nil, err
	}
	w, err := readWelcome(c)
	if err != nil {
		return nil, err
	}
	switch name := certifiedName(c); {
	case w.refusal != "":
		return nil, fmt.Errorf("member %q refuses: %s", w.member, w.refusal)
	case name != "" && name != w.member:
		return nil, fmt.Errorf("it says that it is member %q, and has the certificate of %q", w.member, name)
	case h.whom != "" && w.member != h.whom:
		return nil, fmt.Errorf("member %q is there, and not %q: see the addresses of the members", w.member, h.whom)
	}
	return &w, c.SetDeadline(time.Time{})
}

// receive begins a connection from the listener's side.
func (p *Port) receive(c net.Conn) (*hello, error) {
	if err := c.SetDeadline(time.Now().Add(helloWithin)); err != nil {
		return nil, err
	}
	if t, ok := c.(*tls.Conn); ok {
		if err := t.HandshakeContext(p.ctx); err != nil {
			return nil, err
		}
	}
	h, err := readHello(c)
	if err != nil {
		return nil, err
	}
	w := welcome{cluster: p.Cluster(), member: p.config.Member, refusal: p.objection(c, &h)}
	if err := w.write(c); err != nil {
		return nil, err
	}
	if w.refusal != "" {
		return nil, fmt.Errorf("member %q was refused: %s", h.from, w.refusal)
	}
	return &h, c.SetDeadline(time.Time{})
}

// objection says why a dialer is not welcome; "" if it is.
func (p *Port) objection(c net.Conn, h *hello) string {
	cluster, name := p.Cluster(), certifiedName(c)
	switch {
	case h.purpose != forJournal && h.purpose != forQuestions:
		return "this member does not know what the connection is for: it has an older version"
	case h.whom != "" && h.whom != p.config.Member:
		return fmt.Sprintf("this is member %q, and not %q: see the addresses of the members", p.config.Member, h.whom)
	case h.from != "" && name != "" && name != h.from:
		return fmt.Sprintf("the certificate is that of %q: issue one for %q", name, h.from)
	case h.cluster != cluster && (h.cluster != "" || h.purpose == forJournal):
		return fmt.Sprintf("this is cluster %s, and not %s: a data directory belongs to one cluster for ever", cluster, h.cluster)
	case h.purpose == forJournal && h.from == "":
		return "only members speak of the journal"
	case h.from == p.config.Member:
		return fmt.Sprintf("this is member %q as well: give each member its own name", h.from)
	default:
		return ""
	}
}
