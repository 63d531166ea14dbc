package wire

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

// pipes is a listener in memory, which works on fake time.
type pipes struct {
	conns  chan net.Conn
	errs   chan error
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes {
	return &pipes{conns: make(chan net.Conn), errs: make(chan error), closed: make(chan struct{})}
}

func (p *pipes) dial() net.Conn {
	a, b := net.Pipe()
	p.conns <- b
	return a
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case err := <-p.errs:
		return nil, err
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 3144} }

func quietLogger() *slog.Logger { return slog.New(slog.DiscardHandler) }

// listen starts a listener in memory.
func listen(t *testing.T, config ListenerConfig) (*pipes, *Listener) {
	t.Helper()
	config.Logger = quietLogger()
	p := newPipes()
	ln := NewListener(p, config)
	t.Cleanup(func() { _ = ln.Close() })
	return p, ln
}

// ended waits for the other side to end a connection and says after what time.
func ended(t *testing.T, c net.Conn) time.Duration {
	t.Helper()
	start := time.Now()
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	return time.Since(start)
}

func TestWhoSpeaksWhat(t *testing.T) {
	frame := string(frameOf(keepAlive(5)))
	tests := []struct {
		name   string
		first  []string // written one by one
		native bool
		rest   string // what a server of HTTP/2 reads
	}{
		{"native", []string{Preface + frame}, true, ""},
		{"native in pieces", []string{"L", "DLM/", "2\r", "\n" + frame[:3], frame[3:]}, true, ""},
		{"HTTP/2", []string{http2Preface + "settings"}, false, http2Preface + "settings"},
		{"HTTP/2 in pieces", []string{"PRI", http2Preface[3:20], http2Preface[20:], "x"}, false, http2Preface + "x"},
		{"HTTP/1", []string{"GET / HTTP/1.1\r\n"}, false, "GET / HTTP/1.1\r\n"},
		{"another version", []string{"LDLM/3\r\n"}, false, "LDLM/3\r\n"},
		{"one byte of something", []string{"x"}, false, "x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, ln := listen(t, ListenerConfig{})
				client := p.dial()
				go func() {
					for _, s := range tt.first {
						_, _ = io.WriteString(client, s)
					}
					client.Close()
				}()
				if !tt.native {
					c, err := ln.HTTP2().Accept()
					if err != nil {
						t.Fatal(err)
					}
					got, err := io.ReadAll(c)
					if err != nil || string(got) != tt.rest {
						t.Errorf("the server of HTTP/2 reads %q, %v; want %q", got, err, tt.rest)
					}
					c.Close()
					return
				}
				c, err := ln.Native().Accept()
				if err != nil {
					t.Fatal(err)
				}
				var f ldlmv2.ClientFrame
				if err := c.ReadClient(&f); err != nil || f.KeepAlive.GetNumber() != 5 {
					t.Errorf("read %v, %v", &f, err)
				}
				c.Close()
			})
		})
	}
}

func TestWhoSaysTooLittleIsClosed(t *testing.T) {
	for _, said := range []string{"", "L", "LDLM/2\r", "PRI * HTTP/2.0"} {
		t.Run(said, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, _ := listen(t, ListenerConfig{})
				c := p.dial()
				if said != "" {
					_, _ = io.WriteString(c, said)
				}
				if took := ended(t, c); took != 10*time.Second {
					t.Errorf("closed after %v, want 10s", took)
				}
			})
		})
	}
}

func TestDeadlinesEndWithTheSniffing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, ln := listen(t, ListenerConfig{})
		client := p.dial()
		defer client.Close()
		go func() { _, _ = io.WriteString(client, Preface) }()
		c, err := ln.Native().Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		<-time.After(time.Minute)
		go func() { _, _ = client.Write(frameOf(keepAlive(1))) }()
		var f ldlmv2.ClientFrame
		if err := c.ReadClient(&f); err != nil {
			t.Errorf("a minute later: %v", err)
		}
	})
}

func TestAFloodClosesTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, ln := listen(t, ListenerConfig{MaxQuiet: 3})
		var conns []net.Conn
		for range 5 {
			conns = append(conns, p.dial())
			synctest.Wait()
		}
		start := time.Now()
		for _, c := range conns[:2] {
			ended(t, c)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("the oldest were closed after %v, want at once", took)
		}
		go func() { _, _ = io.WriteString(conns[3], Preface) }()
		c, err := ln.Native().Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		conns[3].Close()
		synctest.Wait() // whoever has spoken makes room
		conns = append(conns, p.dial())
		synctest.Wait()
		if took := ended(t, conns[2]); took != 10*time.Second {
			t.Errorf("a connection within the limit was closed after %v, want 10s", took)
		}
		ended(t, conns[4])
		ended(t, conns[5])
	})
}

func TestAcceptingGoesOnAfterErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, ln := listen(t, ListenerConfig{})
		start := time.Now()
		for range 10 {
			p.errs <- &net.OpError{Op: "accept", Err: syscall.EMFILE}
		}
		// 5 + 10 + 20 + … + 640 + 1000 ms lie between ten errors.
		if took, want := time.Since(start), 2275*time.Millisecond; took != want {
			t.Errorf("ten errors took %v, want %v", took, want)
		}
		client := p.dial()
		defer client.Close()
		go func() { _, _ = io.WriteString(client, Preface) }()
		c, err := ln.Native().Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	})
}

func TestClosingTheListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, ln := listen(t, ListenerConfig{})
		silent, spoken := p.dial(), p.dial()
		go func() { _, _ = io.WriteString(spoken, Preface) }()
		accepted := make(chan error)
		go func() { _, err := ln.HTTP2().Accept(); accepted <- err }()
		synctest.Wait()
		if err := ln.Close(); err != nil {
			t.Error(err)
		}
		if took := ended(t, silent) + ended(t, spoken); took != 0 {
			t.Errorf("connections that nobody accepted were closed after %v, want at once", took)
		}
		if err := <-accepted; err != net.ErrClosed {
			t.Errorf("who waited for a connection got %v, want %v", err, net.ErrClosed)
		}
		if _, err := ln.Native().Accept(); err != net.ErrClosed {
			t.Errorf("accepting from a closed listener: %v, want %v", err, net.ErrClosed)
		}
		if err := ln.Close(); err != net.ErrClosed {
			t.Errorf("closing twice: %v, want %v", err, net.ErrClosed)
		}
	})
}

func TestTheListenerBelowIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, ln := listen(t, ListenerConfig{})
		_ = p.Close()
		if _, err := ln.Native().Accept(); err != net.ErrClosed {
			t.Errorf("accepting: %v, want %v", err, net.ErrClosed)
		}
		if _, err := ln.HTTP2().Accept(); err != net.ErrClosed {
			t.Errorf("accepting: %v, want %v", err, net.ErrClosed)
		}
	})
}

func TestOneHalfCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, ln := listen(t, ListenerConfig{})
		_ = ln.HTTP2().Close()
		_ = ln.HTTP2().Close()
		if _, err := ln.HTTP2().Accept(); err != net.ErrClosed {
			t.Errorf("accepting from the closed half: %v, want %v", err, net.ErrClosed)
		}
		old := p.dial()
		_, _ = io.WriteString(old, "GET")
		if took := ended(t, old); took != 0 {
			t.Errorf("HTTP/2 was closed after %v, want at once", took)
		}
		client := p.dial()
		defer client.Close()
		go func() { _, _ = io.WriteString(client, Preface) }()
		c, err := ln.Native().Accept()
		if err != nil {
			t.Fatalf("the other half: %v", err)
		}
		c.Close()
		_ = ln.Native().Close()
		if _, err := ln.Native().Accept(); err != net.ErrClosed {
			t.Errorf("accepting from the closed half: %v, want %v", err, net.ErrClosed)
		}
	})
}

// certificate makes a certificate for the loopback.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestTLS(t *testing.T) {
	tests := []struct {
		name   string
		alpn   []string
		first  string
		native bool
		refuse bool
	}{
		{"native by ALPN", []string{ALPN}, Preface, true, false},
		{"HTTP/2 by ALPN", []string{"h2"}, "anything", false, false},
		{"native by first bytes", nil, Preface, true, false},
		{"HTTP/2 by first bytes", nil, http2Preface, false, false},
		{"ALPN for one, preface of the other", []string{ALPN}, http2Preface, true, true},
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate(t)}, NextProtos: []string{ALPN, "h2"}}
	inner, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	ln := NewListener(inner, ListenerConfig{Logger: quietLogger()})
	defer ln.Close()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: tt.alpn})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			if _, err := io.WriteString(client, tt.first); err != nil {
				t.Fatal(err)
			}
			switch {
			case tt.refuse:
				if _, err := client.Read(make([]byte, 1)); err == nil {
					t.Error("it was not closed")
				}
			case tt.native:
				c, err := ln.Native().Accept()
				if err != nil {
					t.Fatal(err)
				}
				c.Close()
			default:
				c, err := ln.HTTP2().Accept()
				if err != nil {
					t.Fatal(err)
				}
				b := make([]byte, len(tt.first))
				if _, err := io.ReadFull(c, b); err != nil || string(b) != tt.first {
					t.Errorf("read %q, %v; want %q", b, err, tt.first)
				}
				c.Close()
			}
		})
	}
}

func TestPlainBytesWhereTLSIsExpected(t *testing.T) {
	p := newPipes()
	ln := NewListener(tls.NewListener(p, &tls.Config{Certificates: []tls.Certificate{certificate(t)}}), ListenerConfig{Logger: quietLogger()})
	defer ln.Close()
	c := p.dial()
	go func() { _, _ = io.WriteString(c, strings.Repeat(Preface, 10)) }()
	_, err := io.Copy(io.Discard, c)
	if err != nil && !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
	c.Close()
}

// failing makes sniffing end with a chosen error.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestSniffingReturnsTheError(t *testing.T) {
	want := errors.New("gone")
	if _, _, err := sniff(&readOnlyConn{Reader: failing{want}}); err != want {
		t.Errorf("error %v, want %v", err, want)
	}
}

func TestAddressIsThatOfTheListener(t *testing.T) {
	p, ln := listen(t, ListenerConfig{})
	for _, got := range []net.Addr{ln.Addr(), ln.Native().Addr(), ln.HTTP2().Addr()} {
		if got.String() != p.Addr().String() {
			t.Errorf("address %v, want %v", got, p.Addr())
		}
	}
}

// A handshake that fails is told at DEBUG, with who and why; one that succeeds is
// not, whatever comes after it.
func TestFailedHandshakesAreLogged(t *testing.T) {
	var log bytes.Buffer // read once the listener is closed
	inner, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate(t)}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	ln := NewListener(inner, ListenerConfig{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	good, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	good.Close()
	stranger, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(stranger, "GET / HTTP/1.1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, stranger) // until the server closes it
	stranger.Close()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	want := `level=DEBUG msg="TLS handshake failed" remote=` + stranger.LocalAddr().String() + ` err="tls: first record does not look like a TLS handshake"`
	if strings.Count(log.String(), "TLS handshake failed") != 1 || !strings.Contains(log.String(), want) {
		t.Errorf("logged\n%s\nwant\n%s", log.String(), want)
	}
}
