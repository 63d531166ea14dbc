package check

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A stand runs the pods of a set as processes of this machine, with the very
// variables that the manifests give them. Only addresses and folders are its own.
// The programs are those in the folder LDLM_PROGRAMS, or are built.
type stand struct {
	t   *testing.T
	o   *objects
	dir string
	// programs is the folder of ldlm and ldlm-server.
	programs string
	// addresses are those that stand for a port of a member: index, then port.
	addresses map[string]string
	processes []*process
	logs      []*os.File
}

// A process is one that runs; ended is closed when it does not any more, and err is
// what it ended with.
type process struct {
	*exec.Cmd
	ended chan struct{}
	err   error
}

func newStand(t *testing.T, o *objects) *stand {
	t.Helper()
	s := &stand{t: t, o: o, dir: t.TempDir(), addresses: map[string]string{}}
	if s.programs = os.Getenv("LDLM_PROGRAMS"); s.programs == "" {
		s.programs = s.dir
		build := exec.Command("go", "build", "-o", s.dir, "./cmd/ldlm", "./cmd/ldlm-server")
		build.Dir = "../.."
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	s.ldlm("cluster", "ca", "init", "--dir", s.path("members"))
	for i := range int(*o.set.Spec.Replicas) {
		s.ldlm("cluster", "ca", "issue", s.name(i), "--dir", s.path("members"))
		for _, p := range o.set.Spec.Template.Spec.Containers[0].Ports {
			s.addresses[fmt.Sprint(i, ":", p.ContainerPort)] = spare(t, i)
		}
	}
	for i := range int(*o.set.Spec.Replicas) {
		s.logs = append(s.logs, s.log(i))
		s.processes = append(s.processes, s.start(i))
	}
	t.Cleanup(func() {
		for i, p := range s.processes {
			_ = p.Process.Kill() // it may have ended
			<-p.ended
			if b, err := os.ReadFile(s.logs[i].Name()); err == nil && t.Failed() {
				t.Logf("%s says\n%s", s.name(i), b)
			}
			_ = s.logs[i].Close()
		}
	})
	return s
}

// spare is an address that nobody listens at, of a machine that is ours.
func spare(t *testing.T, member int) string {
	t.Helper()
	const machines = 200
	l, err := net.Listen("tcp", fmt.Sprintf("127.83.%d.%d:0", 1+os.Getpid()%machines, member+1))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (s *stand) name(i int) string { return fmt.Sprint(s.o.set.Name, "-", i) }
func (s *stand) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}
func (s *stand) address(i int, p string) string { return s.addresses[fmt.Sprint(i, ":", s.o.port(p))] }

func (s *stand) log(i int) *os.File {
	s.t.Helper()
	f, err := os.Create(s.path(s.name(i) + ".log"))
	if err != nil {
		s.t.Fatal(err)
	}
	return f
}

// ldlm runs a command and returns what it says.
func (s *stand) ldlm(args ...string) string {
	s.t.Helper()
	out, err := exec.Command(filepath.Join(s.programs, "ldlm"), args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("ldlm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// start starts a member as its image does: without arguments.
func (s *stand) start(i int) *process {
	s.t.Helper()
	for _, dir := range []string{"data", "run"} {
		if err := os.MkdirAll(s.path(s.name(i), dir), 0o700); err != nil {
			s.t.Fatal(err)
		}
	}
	c := exec.Command(filepath.Join(s.programs, "ldlm-server"))
	c.Env, c.Stdout, c.Stderr = s.environment(i), s.logs[i], s.logs[i]
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	p := &process{c, make(chan struct{}), nil}
	go func() {
		defer close(p.ended)
		p.err = c.Wait()
	}()
	return p
}

// environment is that of a pod, with the names and folders of this machine.
func (s *stand) environment(i int) []string {
	s.t.Helper()
	known := map[string]string{"metadata.name": s.name(i), "metadata.namespace": "ops"}
	var names, env []string
	for _, v := range s.o.set.Spec.Template.Spec.Containers[0].Env {
		value := v.Value
		switch from := v.ValueFrom; {
		case from == nil:
		case from.FieldRef != nil:
			value = known[from.FieldRef.FieldPath]
			if value == "" {
				s.t.Fatalf("%s is taken from %s", v.Name, from.FieldRef.FieldPath)
			}
		case from.SecretKeyRef != nil && *from.SecretKeyRef.Optional:
			continue
		}
		value = strings.NewReplacer(names...).Replace(value)
		names = append(names, "$("+v.Name+")", value)
		env = append(env, v.Name+"="+s.local(i, value))
	}
	return env
}

// local puts this machine's addresses and folders in a value.
func (s *stand) local(own int, value string) string {
	for from, to := range map[string]string{"/data/": s.path(s.name(own), "data"), "/run/ldlm/": s.path(s.name(own), "run"), "/etc/ldlm/members/": s.path("members")} {
		if rest, is := strings.CutPrefix(value, from); is {
			return filepath.Join(to, rest)
		}
	}
	service := regexp.QuoteMeta(s.o.set.Spec.ServiceName)
	member := regexp.MustCompile(`\b` + regexp.QuoteMeta(s.o.set.Name) + `-(\d)\.` + service + `(?:\.ops\.svc)?:(\d+)`)
	value = member.ReplaceAllStringFunc(value, func(address string) string {
		m := member.FindStringSubmatch(address)
		return s.addresses[m[1]+":"+m[2]]
	})
	return regexp.MustCompile(`^0\.0\.0\.0:(\d+)$`).ReplaceAllStringFunc(value, func(address string) string {
		return s.addresses[strconv.Itoa(own)+":"+strings.TrimPrefix(address, "0.0.0.0:")]
	})
}

// awaitReady waits until the readiness probe of a member is content.
func (s *stand) awaitReady(i int) {
	s.t.Helper()
	get := s.o.set.Spec.Template.Spec.Containers[0].ReadinessProbe.HTTPGet
	url := "http://" + s.address(i, get.Port.StrVal) + get.Path
	for {
		if a, err := http.Get(url); err == nil {
			_ = a.Body.Close()
			if a.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-s.processes[i].ended:
			s.t.Fatalf("%s has ended before it was ready: %v", s.name(i), s.processes[i].err)
		}
	}
}

// restart ends a member as Kubernetes does, and starts it again.
func (s *stand) restart(i int) {
	s.t.Helper()
	if err := s.processes[i].Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	<-s.processes[i].ended
	if err := s.processes[i].err; err != nil {
		s.t.Errorf("%s ended with %v", s.name(i), err)
	}
	s.processes[i] = s.start(i)
	s.awaitReady(i)
}

// TestMembersByTheManifests: the set of cluster.yaml, on this machine. A lock that is
// held while each member is restarted, one after the other, is held all the time.
func TestMembersByTheManifests(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs all of 127.0.0.0/8")
	}
	s := newStand(t, manifests(t, "cluster.yaml"))
	var clients []string
	for i := range s.processes {
		s.awaitReady(i)
		clients = append(clients, s.address(i, "grpc"))
	}
	address := "--address=" + strings.Join(clients, ",")
	holder := exec.Command(filepath.Join(s.programs, "ldlm"), "lock", "job", "--ttl", "60s", address)
	var complaints bytes.Buffer
	holder.Stderr = &complaints
	said, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Process.Kill() }() // it may have ended
	if line, err := bufio.NewReader(said).ReadString('\n'); err != nil {
		t.Fatalf("%q, %v\n%s", line, err, &complaints)
	}
	for i := range s.processes {
		s.restart(i)
		if got := s.ldlm("ls", "-o", "name", address); got != "job\n" {
			t.Errorf("after the restart of %s: %q", s.name(i), got)
		}
	}
	if err := holder.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := holder.Wait(); err != nil {
		t.Errorf("the holder: %v\n%s", err, &complaints)
	}
}
