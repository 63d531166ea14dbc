package ldlm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// DefaultPort is the port of addresses that do not name one.
const DefaultPort = 3144

// address is where a server listens.
type address struct {
	// text is the address as it was given, with the port filled in.
	text string
	// network and target are what net.Dial wants.
	network, target string
	// host is what a certificate must be for.
	host string
}

// parseAddresses reads addresses separated by commas.
func parseAddresses(text string) ([]address, error) {
	var all []address
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		a, err := parseAddress(part)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	if len(all) == 0 {
		return nil, errors.New(`no address; want host, host:port or unix:PATH, several separated by commas`)
	}
	return all, nil
}

// parseAddress reads one address. Nothing is none: a server says so of a member that it does not
// know the address of.
func parseAddress(text string) (address, error) {
	if text == "" {
		return address{}, errors.New("no address; want host, host:port or unix:PATH")
	}
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		if rest, ok := strings.CutPrefix(path, "//"); ok {
			path = rest
		}
		if path == "" {
			return address{}, fmt.Errorf("address %q has no path after unix:, want unix:PATH", text)
		}
		return address{text: text, network: "unix", target: path, host: "localhost"}, nil
	}
	host, port := text, strconv.Itoa(DefaultPort)
	bare := text
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		bare = text[1 : len(text)-1]
	}
	if _, err := netip.ParseAddr(bare); err == nil {
		host = bare
	} else if strings.ContainsAny(text, ":[]") {
		if host, port, err = net.SplitHostPort(text); err != nil {
			return address{}, fmt.Errorf("address %q: %w", text, err)
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return address{}, fmt.Errorf("address %q: port must be a number from 1 to 65535", text)
	}
	if host == "" {
		host = "localhost"
	}
	name := host
	if ip, err := netip.ParseAddr(host); err == nil {
		name = ip.Zone()
	}
	if name == "unix" || strings.ContainsAny(name, " /@:[]%") {
		return address{}, fmt.Errorf("address %q: want host, host:port or unix:PATH", text)
	}
	target := net.JoinHostPort(host, port)
	return address{text: target, network: "tcp", target: target, host: host}, nil
}

// connect opens a connection to the address, names resolved anew.
func (c *config) connect(ctx context.Context, a address) (net.Conn, error) {
	if c.dial != nil {
		return c.dial(ctx, a.text)
	}
	var d net.Dialer
	return d.DialContext(ctx, a.network, a.target)
}
