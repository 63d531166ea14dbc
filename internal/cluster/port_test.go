package cluster

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens the port of a member of cluster 01.
func open(t *testing.T, member string, f Files) *Port {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p, err := Open(Config{Listener: l, Advertise: l.Addr().String(), Member: member, Cluster: "01", Files: f})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	p.Introduce(newBook(member))
	p.Handle('E', func(_ context.Context, b []byte) []byte { return append([]byte(member+" "), b...) })
	return p
}

// authority makes an authority with certificates of members.
func authority(t *testing.T, members ...string) func(member string) Files {
	t.Helper()
	dir := t.TempDir()
	if _, _, err := InitAuthority(dir); err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		if _, _, err := Issue(dir, m); err != nil {
			t.Fatal(err)
		}
	}
	return func(member string) Files {
		return Files{
			Authority: filepath.Join(dir, "ca.pem"), Certificate: filepath.Join(dir, member+".pem"), Key: filepath.Join(dir, member+"-key.pem"),
		}
	}
}

// Questions are answered, many at a time, and streams go to the journal, in plain
// text and with certificates.
func TestPort(t *testing.T) {
	issued := authority(t, "a", "b")
	for name, files := range map[string]func(string) Files{
		"plain": func(string) Files { return Files{} }, "certificates": issued,
	} {
		t.Run(name, func(t *testing.T) {
			a, b := open(t, "a", files("a")), open(t, "b", files("b"))
			var asking sync.WaitGroup
			for i := range 100 {
				asking.Go(func() {
					question := bytes.Repeat([]byte{byte(i)}, i*1000)
					got, err := a.Ask(t.Context(), "b", b.config.Advertise, 'E', question)
					if err != nil || !bytes.Equal(got, append([]byte("b "), question...)) {
						t.Errorf("question %d: %d bytes, %v", i, len(got), err)
					}
				})
			}
			asking.Wait()
			if cluster, member, err := a.Meet(t.Context(), b.config.Advertise); err != nil || cluster != "01" || member != "b" {
				t.Errorf("met %q of %q: %v", member, cluster, err)
			}
			c, err := a.Streams().Dial("b", b.config.Advertise, time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(c, "hello\n"); err != nil {
				t.Fatal(err)
			}
			s, err := b.Streams().Accept()
			if err != nil {
				t.Fatal(err)
			}
			if line, err := bufio.NewReader(s).ReadString('\n'); err != nil || line != "hello\n" {
				t.Errorf("read %q: %v", line, err)
			}
			if err := errors.Join(c.Close(), s.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

// Whoever is not who he should be does not come in, and is told why.
func TestStrangers(t *testing.T) {
	issued, foreign := authority(t, "a", "b", "c"), authority(t, "a")
	b := open(t, "b", issued("b"))
	for _, c := range []struct {
		name          string
		member, whom  string
		cluster       string
		files         Files
		want          string
		ofCertificate string
	}{
		{name: "another authority", member: "a", whom: "b", cluster: "01", files: foreign("a"), want: "unknown authority"},
		{name: "another name", member: "c", whom: "b", cluster: "01", files: issued("a"), want: `certificate is that of "a"`, ofCertificate: "a"},
		{name: "another cluster", member: "a", whom: "b", cluster: "02", files: issued("a"), want: "this is cluster 01"},
		{name: "another member expected", member: "a", whom: "c", cluster: "01", files: issued("a"), want: `this is member "b"`},
		{name: "the same name twice", member: "b", whom: "b", cluster: "01", files: issued("b"), want: `this is member "b" as well`},
		{name: "plain text", member: "a", whom: "b", cluster: "01", want: ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := Config{Member: c.member, Cluster: c.cluster, Files: c.files}
			if c.ofCertificate != "" {
				config.Member = c.ofCertificate
			}
			p, err := Open(config)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			p.config.Member = c.member
			_, err = p.Ask(t.Context(), c.whom, b.config.Advertise, 'E', nil)
			if !errors.Is(err, ErrNotAsked) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// A certificate of somebody else is found before anything is listened to.
func TestWrongFiles(t *testing.T) {
	issued, foreign := authority(t, "a"), authority(t, "b")
	for name, f := range map[string]Files{
		"another member": issued("a"),
		"no such files":  issued("b"),
		"two of three":   {Authority: issued("a").Authority, Key: issued("a").Key},
		"two authorities": {
			Authority: issued("a").Authority, Certificate: foreign("b").Certificate, Key: foreign("b").Key,
		},
	} {
		if err := f.Check("b"); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	f := issued("a")
	if err := f.Check("a"); err != nil {
		t.Error(err)
	}
}

// Nothing is overwritten, and keys are the owner's alone.
func TestAuthorityFiles(t *testing.T) {
	dir := t.TempDir()
	_, key, err := InitAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v, %v", info.Mode(), err)
	}
	if _, _, err := InitAuthority(dir); err == nil || !strings.Contains(err.Error(), "not overwritten") {
		t.Errorf("got %v", err)
	}
	for _, name := range []string{"", "../x", "a,b", "a=b", "ca", ".x", "x-key", strings.Repeat("x", 65)} {
		if _, _, err := Issue(dir, name); err == nil {
			t.Errorf("%q is the name of a member", name)
		}
	}
	if _, _, err := Issue(t.TempDir(), "a"); err == nil || !strings.Contains(err.Error(), "ldlm cluster ca init") {
		t.Errorf("got %v", err)
	}
}

// Whoever waits for an answer is told when the member is gone, and the next question makes a new
// connection.
func TestBrokenConnection(t *testing.T) {
	a, b := open(t, "a", Files{}), open(t, "b", Files{})
	asked := make(chan struct{})
	b.Handle('H', func(ctx context.Context, _ []byte) []byte {
		close(asked)
		<-ctx.Done()
		return nil
	})
	failed := make(chan error, 1)
	go func() {
		_, err := a.Ask(t.Context(), "b", b.config.Advertise, 'H', nil)
		failed <- err
	}()
	<-asked
	b.Close()
	if err := <-failed; err == nil || errors.Is(err, ErrNotAsked) {
		t.Errorf("a question that has arrived ends with %v", err)
	}
	if _, err := a.Ask(t.Context(), "b", b.config.Advertise, 'E', nil); !errors.Is(err, ErrNotAsked) {
		t.Errorf("nobody is there, and the question ends with %v", err)
	}
}

// A frame that promises much makes nobody allocate, and one that is too long ends it.
func TestHostileFrames(t *testing.T) {
	for _, size := range []uint32{0, 7, maxFrame + 1, 1<<32 - 1} {
		head := binary.BigEndian.AppendUint32(nil, size)
		if _, err := readFrame(bufio.NewReader(bytes.NewReader(append(head, make([]byte, 100)...)))); err == nil {
			t.Errorf("a frame of %d bytes was read", size)
		}
	}
	head := append(binary.BigEndian.AppendUint32(nil, maxFrame), make([]byte, 100)...)
	r := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			_, _ = readFrame(bufio.NewReader(bytes.NewReader(head)))
		}
	})
	if r.AllocedBytesPerOp() > 1<<20 {
		t.Errorf("%d bytes for a promise", r.AllocedBytesPerOp())
	}
}

func FuzzHello(f *testing.F) {
	var b bytes.Buffer
	h := hello{forJournal, "01", "a", "b", "02", card{"03", 4}}
	if err := h.write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(magic))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := readHello(bytes.NewReader(data))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := h.write(&again); err != nil || !bytes.HasPrefix(data, again.Bytes()) {
			t.Errorf("%q became %+v, and that %q", data, h, again.Bytes())
		}
	})
}

// A certificate that is not valid yet, or no more, may be that of a clock that is wrong.
func TestCertificateOfAnotherTime(t *testing.T) {
	f := authority(t, "a")("a")
	pair, pool, err := f.read()
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(pool, pair.Leaf); err != nil {
		t.Error(err)
	}
	pair.Leaf.NotBefore = time.Now().Add(time.Hour)
	if err := verify(pool, pair.Leaf); err == nil || !strings.Contains(err.Error(), "check the clock") {
		t.Errorf("got %v", err)
	}
}

// A member of another version of the protocol is named as one, on both sides.
func TestAnotherVersion(t *testing.T) {
	other := []byte(magic)
	other[len(other)-1]++
	long := append(other, make([]byte, 100)...)
	_, hello := readHello(bytes.NewReader(long))
	_, welcome := readWelcome(bytes.NewReader(long))
	for side, err := range map[string]error{"who comes": hello, "who answers": welcome} {
		if err == nil || !strings.Contains(err.Error(), "speaks version 3") {
			t.Errorf("%s: %v", side, err)
		}
	}
	if _, err := readWelcome(strings.NewReader("HTTP/1.1 400 Bad Request")); !errors.Is(err, errNoMember) {
		t.Errorf("somebody else: %v", err)
	}
}
