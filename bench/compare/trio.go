package compare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/ldlm-io/ldlm/bench/etcd"
	"github.com/ldlm-io/ldlm/internal/load"
)

// A trio is a cluster of three members on loopback, each with a folder of its own
// beside the others'. It belongs to one goroutine.
type trio struct {
	kind    trioKind
	lab     *lab
	members []*member
}

// A member of a trio. Its process is that of its last start.
type member struct {
	*process
	name, dir      string
	clients, peers string // where it listens to clients, and to the other members
}

// A trioKind says how members are started and asked.
type trioKind struct {
	name string
	// start starts the process of a member.
	start func(ctx context.Context, t *trio, m *member) (*process, error)
	// ready is a part of the line that says that a member serves.
	ready string
	// leader returns the member that leads, once all serve and agree on it, and an
	// error while they do not.
	leader func(ctx context.Context, t *trio) (*member, error)
	// dial makes a client that asks the first address, and the others without it.
	dial func(ctx context.Context, addresses ...string) (load.Conn, error)
	// attempt is when a client asks again while members fail; 0: it does so itself.
	attempt time.Duration
}

func ldlmTrio() trioKind {
	return trioKind{
		name: nameThree, start: startLDLMMember, ready: `"Server runs",`, leader: ldlmLeader,
		dial: func(_ context.Context, addresses ...string) (load.Conn, error) {
			return dialLDLM(strings.Join(addresses, ","))
		},
	}
}

func etcdTrio() trioKind {
	return trioKind{
		name: nameEtcd, start: startEtcdMember, ready: readyPrefix, leader: etcdLeader,
		dial: etcd.Dial,
		// What a member has passed on to a leader that is dead is answered after 7 s.
		attempt: heartbeatMillis * time.Millisecond,
	}
}

// startTrio starts three members, and returns when all serve and agree on who leads.
func (l *lab) startTrio(ctx context.Context, kind trioKind) (*trio, error) {
	dir, err := l.newDir()
	if err != nil {
		return nil, err
	}
	t := &trio{kind: kind, lab: l}
	for _, name := range []string{"a", "b", "c"} {
		m := &member{name: name, dir: filepath.Join(dir, name)}
		for _, address := range []*string{&m.clients, &m.peers} {
			// Each on a host of its own: a port that is free now may be given twice.
			if *address, err = freeAddress(ctx, ownLoopback()); err != nil {
				return nil, err
			}
		}
		t.members = append(t.members, m)
	}
	for _, m := range t.members {
		if m.process, err = kind.start(ctx, t, m); err != nil {
			t.kill()
			return nil, err
		}
	}
	for _, m := range t.members {
		if _, err := m.await(ctx, kind.ready); err != nil {
			t.kill()
			return nil, err
		}
	}
	if _, err := t.leader(ctx); err != nil {
		t.kill()
		return nil, err
	}
	return t, nil
}

// ownLoopback is an address of loopback that nobody else uses: connections that others
// make come from 127.0.0.1, so no port of ours is taken between two starts.
func ownLoopback() string {
	part := func() int { return 1 + rand.IntN(250) } //nolint:gosec,mnd // no secret; any of a byte's values will do
	return fmt.Sprintf("127.%d.%d.%d", part(), part(), part())
}

// freeAddress returns an address that nobody listens at.
func freeAddress(ctx context.Context, host string) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// restart starts a member again that was killed, and returns when all agree.
func (t *trio) restart(ctx context.Context, m *member) error {
	p, err := t.kind.start(ctx, t, m)
	if err != nil {
		return err
	}
	m.process = p
	if _, err := m.await(ctx, t.kind.ready); err != nil {
		return err
	}
	_, err = t.leader(ctx)
	return err
}

// leader returns the member that leads, once all agree on it.
func (t *trio) leader(ctx context.Context) (*member, error) {
	const pause = 20 * time.Millisecond
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not agreed within %s", patience))
	defer cancel()
	for {
		m, err := t.kind.leader(ctx, t)
		if err == nil {
			return m, nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, fmt.Errorf("three members do not agree on who leads: %w: %w; the first says: %s",
				context.Cause(ctx), err, t.members[0].out.tail())
		}
	}
}

// from returns where clients reach the members, those of m first.
func (t *trio) from(m *member) []string {
	all := []string{m.clients}
	for _, other := range t.members {
		if other != m {
			all = append(all, other.clients)
		}
	}
	return all
}

// server is the trio as one server, which clients reach where it leads.
func (t *trio) server(ctx context.Context) (*server, error) {
	leader, err := t.leader(ctx)
	if err != nil {
		return nil, err
	}
	s := &server{process: leader.process, address: leader.clients}
	for _, m := range t.members {
		if m != leader {
			s.beside = append(s.beside, m.process)
		}
	}
	return s, nil
}

// kill ends all members.
func (t *trio) kill() {
	for _, m := range t.members {
		if m.process != nil {
			m.process.kill()
		}
	}
}

// list writes all members as NAME=ADDRESS,NAME=ADDRESS, with something in front of
// each address.
func (t *trio) list(scheme string) string {
	all := make([]string, 0, len(t.members))
	for _, m := range t.members {
		all = append(all, m.name+"="+scheme+m.peers)
	}
	return strings.Join(all, ",")
}

func startLDLMMember(ctx context.Context, t *trio, m *member) (*process, error) {
	return start(ctx, "ldlm server "+m.name, t.lab.ldlm, "server", "--listen_address", m.clients, "--ipc_socket_file", "",
		"--data_dir", m.dir, "--member_name", m.name, "--cluster_members", t.list(""))
}

// clusterStatus is what ldlm cluster status tells.
type clusterStatus struct {
	Member  string `json:"member"`
	Leader  string `json:"leader"`
	Joined  bool   `json:"joined"`
	Applied uint64 `json:"applied"`
}

func ldlmLeader(ctx context.Context, t *trio) (*member, error) {
	var all []clusterStatus
	most := uint64(0)
	for _, m := range t.members {
		out, err := run(ctx, t.lab.ldlm, "cluster", "status", "--member", m.peers, "-o", "json")
		var s clusterStatus
		if err == nil {
			err = json.Unmarshal([]byte(out), &s)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, s)
		most = max(most, s.Applied)
	}
	const behind = 100 // entries, while others make some
	for _, s := range all {
		if s.Leader == "" || s.Leader != all[0].Leader || !s.Joined || s.Applied+behind < most {
			return nil, fmt.Errorf("they say %+v", all)
		}
	}
	return t.named(all[0].Leader)
}

func (t *trio) named(name string) (*member, error) {
	for _, m := range t.members {
		if m.name == name {
			return m, nil
		}
	}
	return nil, fmt.Errorf("%q leads, who is no member", name)
}

// startEtcdMember starts a member with etcd's own settings.
func startEtcdMember(ctx context.Context, t *trio, m *member) (*process, error) {
	if t.lab.etcd == "" {
		return nil, errors.New("there is no etcd")
	}
	settings, err := json.Marshal(map[string]string{
		"name": m.name, "dir": m.dir, "clients": plainURL + m.clients, "peers": plainURL + m.peers, "cluster": t.list(plainURL),
	})
	if err != nil {
		return nil, err
	}
	return start(ctx, "etcd "+m.name, t.lab.etcd, string(settings))
}

const plainURL = "http://"

func etcdLeader(ctx context.Context, t *trio) (*member, error) {
	all := make([]string, 0, len(t.members))
	for _, m := range t.members {
		all = append(all, m.clients)
	}
	address, err := etcd.Leader(ctx, all)
	if err != nil {
		return nil, err
	}
	for _, m := range t.members {
		if m.clients == address {
			return m, nil
		}
	}
	return nil, fmt.Errorf("%q leads, who is no member", address)
}
