package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Ports of members.
const (
	nativePort = 3144
	restPort   = 3145
	memberPort = 3147
)

// seat is a machine with a disk, on which one member after the other may live.
type seat struct {
	*machine
	disk   *disk
	member string // its name in the cluster
	joins  string // where it joins; "" if it began with the cluster

	mu      sync.Mutex
	process *exec.Cmd
	ended   chan struct{} // closed when the process has ended
	wanted  bool          // it ended because it was made to
}

func (s *seat) at(port int) string { return fmt.Sprintf("%s:%d", s.address, port) }

// cluster is the servers of a run.
type cluster struct {
	binary   string
	home     string
	seats    []*seat
	operator *machine
	members  string // that the cluster begins with
	names    int    // how many members have ever been
	chance   *rand.Rand
	// surprise is told of a server that ended though nobody wanted it to.
	surprise func(string)
}

// credentials are flags with the certificate of a member.
func (c *cluster) credentials(member string) []string {
	file := func(name string) string { return filepath.Join(c.home, "ca", name) }
	return []string{"--cluster_ca", file("ca.pem"), "--cluster_cert", file(member + ".pem"), "--cluster_key", file(member + "-key.pem")}
}

// issue makes a certificate.
func (c *cluster) issue(ctx context.Context, args ...string) error {
	args = append([]string{"cluster", "ca"}, append(args, "--dir", filepath.Join(c.home, "ca"))...)
	if out, err := exec.CommandContext(ctx, c.binary, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ldlm %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// newName is that of a member that has never been.
func (c *cluster) newName(ctx context.Context) (string, error) {
	c.names++
	name := fmt.Sprintf("m%d", c.names)
	return name, c.issue(ctx, "issue", name)
}

// found makes certificates, and names for all seats.
func (c *cluster) found(ctx context.Context) error {
	if err := c.issue(ctx, "init"); err != nil {
		return err
	}
	var list []string
	for _, s := range c.seats {
		name, err := c.newName(ctx)
		if err != nil {
			return err
		}
		s.member = name
		list = append(list, name+"="+s.at(memberPort))
	}
	c.members = strings.Join(list, ",")
	return nil
}

// start starts the server of a seat. Its clocks show another time than before.
func (c *cluster) start(ctx context.Context, s *seat) error {
	const month = 30 * 24 * 3600
	if err := s.shiftClocks(c.chance.IntN(month)); err != nil {
		return err
	}
	args := append([]string{
		"server", "--data_dir", s.disk.data(s.member), "--listen_address", s.at(nativePort), "--rest_listen_address", s.at(restPort),
		"--ipc_socket_file", "", "--member_name", s.member, "--cluster_listen_address", s.at(memberPort),
		"--rest_session_timeout", "20s", "--default_lock_timeout", "20s",
	}, c.credentials(s.member)...)
	if s.joins != "" {
		args = append(args, "--cluster_join", s.joins)
	} else {
		args = append(args, "--cluster_members", c.members)
	}
	log, err := os.OpenFile(c.logOf(s), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the server has it
	process := exec.CommandContext(context.WithoutCancel(ctx), c.binary, args...)
	process.Stdout, process.Stderr = log, log
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.machine.start(process); err != nil {
		return fmt.Errorf("server of %s: %w", s.name, err)
	}
	s.process, s.ended, s.wanted = process, make(chan struct{}), false
	go c.watch(s, process, s.ended)
	return nil
}

// watch waits for the end of a server.
func (c *cluster) watch(s *seat, process *exec.Cmd, ended chan struct{}) {
	err := process.Wait()
	s.mu.Lock()
	wanted := s.wanted
	close(ended)
	s.mu.Unlock()
	if !wanted && !c.hung(s) {
		c.surprise(fmt.Sprintf("the server of %s ended by itself: %v, see %s.log", s.member, err, s.member))
	}
}

// hung reports whether a server says that it ended because its disk did not answer in
// time: on a machine that has too much to do that happens by itself.
func (c *cluster) hung(s *seat) bool {
	text, err := os.ReadFile(c.logOf(s))
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return err == nil && strings.Contains(lines[len(lines)-1], "the disk hangs")
}

func (c *cluster) logOf(s *seat) string { return filepath.Join(c.home, s.member+".log") }

// revive starts servers that have ended by themselves.
func (c *cluster) revive(ctx context.Context) error {
	for _, s := range c.seats {
		s.mu.Lock()
		ended := false
		select {
		case <-s.ended:
			ended = true
		default:
			s.wanted = false
		}
		s.mu.Unlock()
		if ended {
			if err := c.start(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// expectEnd says that the server may end from now on.
func (s *seat) expectEnd() {
	s.mu.Lock()
	s.wanted = true
	s.mu.Unlock()
}

// signal sends the server a signal.
func (s *seat) signal(what syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.ended:
	default:
		_ = s.process.Process.Signal(what) // it may have ended meanwhile
	}
}

// end ends the server by a signal and waits for that. One that does not end in order
// within its time is killed, and that is an error.
func (s *seat) end(how syscall.Signal, within time.Duration) error {
	s.expectEnd()
	s.signal(how)
	select {
	case <-s.ended:
		return nil
	case <-time.After(within):
	}
	s.signal(syscall.SIGKILL)
	<-s.ended
	return fmt.Errorf("the server of %s did not end within %v of %v", s.member, within, how)
}

func (s *seat) kill() { _ = s.end(syscall.SIGKILL, time.Hour) }

// status is what a member says of its cluster.
type status struct {
	Leader  string `json:"leader"`
	Joined  bool   `json:"joined"`
	Members []struct {
		Member string `json:"member"`
		Votes  bool   `json:"votes"`
	} `json:"members"`
}

// ldlm runs a command on the operator's machine, about the member of a seat.
func (c *cluster) ldlm(ctx context.Context, about *seat, args ...string) ([]byte, error) {
	args = append([]string{"cluster"}, args...)
	args = append(append(args, "--member", about.at(memberPort)), c.credentials(about.member)...)
	const patience = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var out, complaint bytes.Buffer
	command := exec.CommandContext(ctx, c.binary, args...)
	command.Stdout, command.Stderr = &out, &complaint
	err := c.operator.start(command)
	if err == nil {
		err = command.Wait()
	}
	if err != nil {
		return nil, fmt.Errorf("ldlm cluster %s about %s: %w: %s", args[1], about.member, err, &complaint)
	}
	return out.Bytes(), nil
}

func (c *cluster) status(ctx context.Context, of *seat) (s status, err error) {
	out, err := c.ldlm(ctx, of, "status", "-o", "json")
	if err == nil {
		err = json.Unmarshal(out, &s)
	}
	return s, err
}

// patience is how long anything may take that must happen. It bounds what would hang
// for ever, and is far from what a slow machine needs.
const patience = 10 * time.Minute

// leader waits until a member leads, by its own word and another's.
func (c *cluster) leader(ctx context.Context) (*seat, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("nobody leads"))
	defer cancel()
	for {
		if err := c.revive(ctx); err != nil {
			return nil, err
		}
		for _, s := range c.seats {
			said, err := c.status(ctx, s)
			if err != nil {
				continue
			}
			for _, other := range c.seats {
				if other.member != said.Leader {
					continue
				}
				if own, err := c.status(ctx, other); err == nil && own.Leader == other.member {
					return other, nil
				}
			}
		}
		if err := rest(ctx, 100*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// await waits until every member serves, has a vote, and agrees on who leads.
func (c *cluster) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last error
	for {
		if err := c.revive(ctx); err != nil {
			return err
		}
		if last = c.agree(ctx, last); last == nil {
			return nil
		}
		if err := rest(ctx, 100*time.Millisecond); err != nil {
			return fmt.Errorf("the cluster did not become whole within %v: %w", patience, last)
		}
	}
}

// agree says what is missing for the cluster to be whole.
func (c *cluster) agree(ctx context.Context, before error) error {
	leader := ""
	for _, s := range c.seats {
		said, err := c.status(ctx, s)
		if ctx.Err() != nil && before != nil {
			return before
		}
		if err != nil {
			return err
		}
		votes := 0
		for _, m := range said.Members {
			if m.Votes {
				votes++
			}
		}
		if !said.Joined || votes != len(c.seats) || len(said.Members) != votes || said.Leader == "" || leader != "" && said.Leader != leader {
			return fmt.Errorf("%s says %+v", s.member, said)
		}
		leader = said.Leader
	}
	return nil
}

// rest waits, or returns why there is nothing to wait for any more.
func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// complaints finds lines in the logs of servers that no server should write.
func (c *cluster) complaints() (found []string) {
	logs, _ := filepath.Glob(filepath.Join(c.home, "m*.log"))
	for _, name := range logs {
		f, err := os.Open(name)
		if err != nil {
			return append(found, err.Error())
		}
		text, err := io.ReadAll(f)
		_ = f.Close() // it was only read
		if err != nil {
			return append(found, err.Error())
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") || strings.Contains(line, "DATA RACE") {
				found = append(found, filepath.Base(name)+": "+strings.TrimSpace(line))
			}
		}
	}
	return found
}
