package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/ldlm-io/ldlm/internal/cluster"
	"github.com/ldlm-io/ldlm/internal/config"
	"github.com/ldlm-io/ldlm/internal/server"
)

// membersPort is where members listen to each other if nothing else is said.
const membersPort = "3147"

// openMembers takes the port for other members, nil if there are to be none.
func openMembers(ctx context.Context, s *config.Server) (*server.Members, error) {
	if alone(s) {
		return nil, nil //nolint:nilnil // a server is alone unless it is told otherwise
	}
	m, err := membersOf(s)
	if err != nil {
		return nil, err
	}
	address := withPort(s.ClusterListenAddress)
	if address == "" {
		address = m.Advertise
	}
	if m.Listener, err = listenTCP(ctx, address); err != nil {
		return nil, withCulprit(ctx, "cluster_listen_address", address, err)
	}
	if m.Files.Given() || s.ClusterPlaintext || isLoopback(m.Listener.Addr()) {
		return m, nil
	}
	_ = m.Listener.Close() // nothing came over it
	return nil, fmt.Errorf("members would speak in plain text on %s, which others can reach: give cluster_ca, cluster_cert and cluster_key "+
		"(ldlm cluster ca init makes an authority), or say cluster_plaintext if the network is yours alone", address)
}

// alone reports whether there are to be no other members.
func alone(s *config.Server) bool {
	return s.ClusterListenAddress == "" && s.ClusterMembers == "" && s.ClusterJoin == ""
}

// membersOf makes what the server needs of the settings.
func membersOf(s *config.Server) (*server.Members, error) {
	m := &server.Members{
		Name: s.MemberName, Join: withPort(s.ClusterJoin), Advertise: withPort(s.ClusterAdvertiseAddress), Clients: clientsAt(s),
		Files: cluster.Files{Authority: s.ClusterCA, Certificate: s.ClusterCert, Key: s.ClusterKey},
	}
	if m.Name != "" {
		if err := cluster.CheckName(m.Name); err != nil {
			return nil, fmt.Errorf("member_name: %w", err)
		}
	}
	switch {
	case s.DataDir == "":
		return nil, errors.New("a member of a cluster keeps what it has: give it a data_dir of its own")
	case s.ClusterMembers != "" && s.ClusterJoin != "":
		return nil, errors.New("cluster_members begins a new cluster, and cluster_join joins one: leave one of them out")
	case s.ClusterMembers != "":
		first, err := server.ParseMembers(s.ClusterMembers)
		if err != nil {
			return nil, fmt.Errorf("cluster_members: %w", err)
		}
		own, is := first[m.Name]
		if !is {
			return nil, fmt.Errorf("member_name is %q, and cluster_members does not have it: say which of them this one is", m.Name)
		}
		m.First = first
		if m.Advertise == "" {
			m.Advertise = own
		}
	case s.ClusterJoin != "" && m.Name == "":
		return nil, errors.New("a member that joins others needs a member_name of its own")
	}
	if m.Advertise == "" {
		m.Advertise = reachable(withPort(s.ClusterListenAddress))
	}
	if m.Advertise == "" {
		return nil, errors.New("other members have to reach this one: say where with cluster_advertise_address, or a host in cluster_listen_address")
	}
	return m, nil
}

// withPort adds the members' port to an address that has none.
func withPort(address string) string {
	if address == "" {
		return ""
	}
	if _, _, err := net.SplitHostPort(address); err == nil {
		return address
	}
	return net.JoinHostPort(address, membersPort)
}

// clientsAt is where clients reach the server, as far as the settings say.
func clientsAt(s *config.Server) string {
	if s.AdvertiseAddress != "" {
		return s.AdvertiseAddress
	}
	return reachable(s.ListenAddress)
}

// reachable returns an address if others can use it, "" if it has no host. One with
// port 0 is none.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "0" || net.ParseIP(host).IsUnspecified() {
		if name, err := os.Hostname(); err == nil && port != "" && port != "0" {
			return net.JoinHostPort(name, port)
		}
		return ""
	}
	return address
}

func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// closePorts gives up what was taken for a server that does not start.
func closePorts(c *ServerConfig) {
	for _, l := range []net.Listener{c.Listener, c.REST, c.Admin} {
		if l != nil {
			_ = l.Close() // nothing came over it
		}
	}
	if c.Socket != nil {
		c.Socket.Close()
	}
}
