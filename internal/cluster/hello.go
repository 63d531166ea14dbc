package cluster

import (
	"crypto/tls"
	"encoding/binary"
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
const magic = "LDLM-MEMBER\x02"

// helloWithin is how long the beginning of a connection may take.
const helloWithin = 5 * time.Second

// hello is what a dialer says first. An operator has no name of his own, who joins
// knows no cluster yet, and expects maybe nobody in particular.
type hello struct {
	purpose             byte
	cluster, from, whom string
	directory           string // of the one that speaks
	known               card   // of the one that is spoken to
}

// card is what a member knows of another one; zero if it has not met it.
type card struct {
	directory string
	entry     uint64
}

func (h *hello) write(w io.Writer) error {
	b := append([]byte(magic), h.purpose)
	b = appendText(appendText(appendText(b, h.cluster), h.from), h.whom)
	_, err := w.Write(appendCard(appendText(b, h.directory), h.known))
	return err
}

func appendCard(b []byte, c card) []byte {
	return binary.BigEndian.AppendUint64(appendText(b, c.directory), c.entry)
}

func readCard(r io.Reader) (c card, err error) {
	if c.directory, err = readText(r); err != nil {
		return c, err
	}
	var entry [8]byte
	_, err = io.ReadFull(r, entry[:])
	c.entry = binary.BigEndian.Uint64(entry[:])
	return c, err
}

// checkVersion compares the version that the other side speaks.
func checkVersion(v byte) error {
	if ours := magic[len(magic)-1]; v != ours {
		return fmt.Errorf("it speaks version %d of the members' protocol, this program version %d: start the older one of both in the version of the other", v, ours)
	}
	return nil
}

func readHello(r io.Reader) (h hello, err error) {
	head := make([]byte, len(magic)+1)
	if _, err := io.ReadFull(r, head); err != nil {
		return h, err
	}
	if string(head[:len(magic)-1]) != magic[:len(magic)-1] {
		return h, errors.New("what speaks there is not a member")
	}
	if err := checkVersion(head[len(magic)-1]); err != nil {
		return h, err
	}
	h.purpose = head[len(magic)]
	for _, text := range []*string{&h.cluster, &h.from, &h.whom, &h.directory} {
		if *text, err = readText(r); err != nil {
			return h, err
		}
	}
	h.known, err = readCard(r)
	return h, err
}

// welcome is what a listener answers.
type welcome struct {
	cluster, member, refusal string
	directory                string // of the one that answers
	known                    card   // of the one that has spoken
}

func (w *welcome) write(to io.Writer) error {
	b := appendText(appendText(appendText([]byte(magic), w.cluster), w.member), w.refusal)
	_, err := to.Write(appendCard(appendText(b, w.directory), w.known))
	return err
}

func readWelcome(r io.Reader) (w welcome, err error) {
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(r, head); err != nil || string(head[:len(head)-1]) != magic[:len(magic)-1] {
		return w, errNoMember
	}
	if err := checkVersion(head[len(head)-1]); err != nil {
		return w, err
	}
	for _, text := range []*string{&w.cluster, &w.member, &w.refusal, &w.directory} {
		if *text, err = readText(r); err != nil {
			return w, err
		}
	}
	w.known, err = readCard(r)
	return w, err
}

// greet begins a connection from the dialer's side.
func (p *Port) greet(c net.Conn, h *hello) (*welcome, error) {
	if err := c.SetDeadline(time.Now().Add(helloWithin)); err != nil {
		return nil, err
	}
	if t, ok := c.(*tls.Conn); ok {
		if err := t.HandshakeContext(p.ctx); err != nil {
			return nil, explained(err)
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
		if name == "" || name == w.member {
			if err := p.hear(w.member, w.known); err != nil {
				return nil, err
			}
		}
		return nil, fmt.Errorf("member %q refuses: %s", w.member, w.refusal)
	case name != "" && name != w.member:
		return nil, fmt.Errorf("it says that it is member %q, and has the certificate of %q", w.member, name)
	case h.whom != "" && w.member != h.whom:
		return nil, fmt.Errorf("member %q is there, and not %q: see the addresses of the members", w.member, h.whom)
	}
	if err := p.acquaint(h.purpose, w.member, w.directory, w.known); err != nil {
		return nil, err
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
			return nil, explained(err)
		}
	}
	h, err := readHello(c)
	if err != nil {
		return nil, err
	}
	w := welcome{cluster: p.Cluster(), member: p.config.Member, refusal: p.objection(c, &h)}
	if w.refusal == "" && h.from != "" {
		if err := p.introduced(helloWithin); err != nil {
			return nil, err
		}
		w.directory, w.known = p.cards(h.from)
		if err := p.acquaint(h.purpose, h.from, h.directory, h.known); err != nil {
			w.refusal = err.Error()
		}
	}
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
	case cluster == "" && h.cluster != "":
		return "this member is about to join others, and does not know its cluster yet: ask again"
	case h.cluster != cluster && (h.cluster != "" || h.purpose == forJournal):
		return fmt.Sprintf("this is cluster %s, and not %s: a data directory belongs to one cluster for ever", cluster, h.cluster)
	case h.purpose == forJournal && h.from == "":
		return "only members speak of the journal"
	case h.from == p.config.Member:
		return fmt.Sprintf("this is member %q as well: give each member its own name, and name another one's address with cluster_join", h.from)
	default:
		return ""
	}
}
