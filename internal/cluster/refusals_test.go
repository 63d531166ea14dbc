package cluster

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Who is refused tries again several times a second: the log has it once a minute, and how often
// it was meanwhile. Another reason, or another host, has a line of its own.
func TestRefusalsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r refusals
		at := func(host string, port int) net.Addr { return &net.TCPAddr{IP: net.ParseIP(host), Port: port} }
		late := func(second int) error {
			return fmt.Errorf("the certificate has expired: it is %02d s after the hour", second)
		}
		check := func(what string, from net.Addr, err error, say bool, suppressed int) {
			t.Helper()
			if gotSay, got := r.note(from, err); gotSay != say || got != suppressed {
				t.Errorf("%s: said %v, %d suppressed; want %v, %d", what, gotSay, got, say, suppressed)
			}
		}
		check("the first", at("10.0.0.1", 4000), late(1), true, 0)
		check("again, from another port", at("10.0.0.1", 4001), late(2), false, 0)
		check("again", at("10.0.0.1", 4002), late(3), false, 0)
		check("another reason", at("10.0.0.1", 4003), errors.New("another cluster"), true, 0)
		check("another host", at("10.0.0.2", 4000), late(3), true, 0)
		<-time.After(refusalsEvery)
		check("a minute later", at("10.0.0.1", 4004), late(4), true, 2)
		<-time.After(refusalsEvery)
		check("another minute later", at("10.0.0.1", 4005), late(5), true, 0)
		for i := range 10 * mostRefusals {
			r.note(at("10.0.0.3", 4000), errors.New(strings.Repeat("x", i)))
		}
		if n := len(r.said); n > mostRefusals {
			t.Errorf("%d are remembered, at most %d should be", n, mostRefusals)
		}
	})
}

// Both sides are told what to do about certificates of two authorities.
func TestAnotherAuthority(t *testing.T) {
	const want = "cluster_ca must be the same everywhere"
	ours, theirs := authority(t, "a"), authority(t, "b")
	a, b := open(t, "a", ours("a")), open(t, "b", theirs("b"))
	if _, _, err := b.Meet(t.Context(), a.config.Advertise); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("who comes is told %v", err)
	}
	err := explained(&net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")})
	if !strings.Contains(err.Error(), want) {
		t.Errorf("who was come to is told %v", err)
	}
	if err := explained(x509.CertificateInvalidError{Reason: x509.Expired}); strings.Contains(err.Error(), want) {
		t.Errorf("a certificate of another time is explained as one of another authority: %v", err)
	}
}

// The log of a member does not fill up with those that it refuses.
func TestRefusalsAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		p, err := Open(Config{Member: "a", Cluster: "01", Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		from := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 4000}
		for range 5 {
			p.noteRefused(from, errors.New("another cluster"))
		}
		<-time.After(refusalsEvery)
		p.noteRefused(from, errors.New("another cluster"))
		if text := log.String(); strings.Count(text, "was refused") != 2 || strings.Count(text, "suppressed=4") != 1 {
			t.Errorf("the log: %s", text)
		}
	})
}

// A port that is closed under somebody who has just come refuses nobody.
func TestCloseRefusesNobody(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	p, err := Open(Config{Member: "a", Cluster: "01", Listener: l, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for came := false; !came; {
		p.mu.Lock()
		came = len(p.open) > 0
		p.mu.Unlock()
		runtime.Gosched()
	}
	p.Close()
	if log.Len() > 0 {
		t.Errorf("the log: %s", &log)
	}
}

// What is wrong with the files of a member says which file.
func TestFilesAreNamed(t *testing.T) {
	issued, foreign := authority(t, "a", "b"), authority(t, "a")
	for _, c := range []struct {
		files Files
		want  []string
	}{
		{Files{issued("a").Authority, issued("a").Certificate, issued("b").Key}, []string{"cluster_cert", "a.pem", "b-key.pem"}},
		{Files{issued("a").Authority, foreign("a").Certificate, foreign("a").Key}, []string{"is not signed by cluster_ca"}},
	} {
		err := c.files.Check("a")
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", filepath.Base(c.files.Key), err, want)
			}
		}
	}
}
