// Etcd is a member of a cluster of etcd, for comparisons: the server of its module
// with the settings that it comes with. It takes a JSON object with the fields of
// settings, says when it serves, and ends with its input.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"

	"go.etcd.io/etcd/api/v3/version"
	"go.etcd.io/etcd/server/v3/embed"
)

// settings are what the member is started with. URLs are of plain HTTP.
type settings struct {
	Name    string `json:"name"`
	Dir     string `json:"dir"`     // for its data
	Clients string `json:"clients"` // URL that clients reach it under
	Peers   string `json:"peers"`   // URL that other members reach it under
	// Cluster has all members, as in NAME=URL,NAME=URL.
	Cluster string `json:"cluster"`
}

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "etcd:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("takes one argument, its settings as JSON, or version")
	}
	if args[0] == "version" {
		_, err := fmt.Fprintln(out, version.Version)
		return err
	}
	var s settings
	if err := json.Unmarshal([]byte(args[0]), &s); err != nil {
		return err
	}
	config, err := s.config()
	if err != nil {
		return err
	}
	member, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	defer member.Close()
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, in)
		ended <- err
	}()
	select {
	case <-member.Server.ReadyNotify():
	case err := <-member.Err():
		return err
	case err := <-ended:
		return err
	}
	if _, err := fmt.Fprintln(out, "ready "+s.Clients); err != nil {
		return err
	}
	select {
	case err := <-member.Err():
		return err
	case err := <-ended:
		return err
	}
}

// config is etcd's own, but for names, places and the amount of what it logs.
func (s *settings) config() (*embed.Config, error) {
	clients, err := url.Parse(s.Clients)
	if err != nil {
		return nil, err
	}
	peers, err := url.Parse(s.Peers)
	if err != nil {
		return nil, err
	}
	c := embed.NewConfig()
	c.Name, c.Dir, c.InitialCluster = s.Name, s.Dir, s.Cluster
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{*clients}, []url.URL{*clients}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{*peers}, []url.URL{*peers}
	c.LogLevel = "error"
	return c, nil
}
