package wire

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	ldlmv2 "github.com/ldlm-io/ldlm/api/v2"
)

// tcpPair returns both ends of a connection over the loopback.
func tcpPair(t *testing.T) (client, server *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

func frameOf(f *ldlmv2.ClientFrame) []byte {
	b := AppendClient(make([]byte, lengthBytes), f)
	binary.BigEndian.PutUint32(b, uint32(len(b)-lengthBytes))
	return b
}

func keepAlive(n uint64) *ldlmv2.ClientFrame {
	return &ldlmv2.ClientFrame{KeepAlive: &ldlmv2.KeepAlive{Number: n}}
}

func TestFramesBothWays(t *testing.T) {
	client, server := tcpPair(t)
	c, s := NewClientConn(client, time.Minute), NewConn(server, time.Minute)
	for n := range uint64(3) {
		if err := c.WriteClient(keepAlive(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.WriteFrames(frameOf(keepAlive(3))); err != nil {
		t.Fatal(err)
	}
	preface := make([]byte, len(Preface))
	if _, err := io.ReadFull(server, preface); err != nil || string(preface) != Preface {
		t.Fatalf("the connection begins with %q, %v", preface, err)
	}
	var in ldlmv2.ClientFrame
	for n := range uint64(4) {
		if err := s.ReadClient(&in); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(&in, keepAlive(n)) {
			t.Errorf("frame %d read as %v", n, &in)
		}
		answer := &ldlmv2.ServerFrame{KeepAlive: &ldlmv2.KeepAlive{Number: n, ValidForUs: 1}}
		if err := s.WriteServer(answer); err != nil {
			t.Fatal(err)
		}
		var out ldlmv2.ServerFrame
		if err := c.ReadServer(&out); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(&out, answer) {
			t.Errorf("answer %d read as %v", n, &out)
		}
	}
}

func TestPrefaceGoesBeforeRawFrames(t *testing.T) {
	client, server := tcpPair(t)
	if err := NewClientConn(client, 0).WriteFrames(frameOf(keepAlive(1))); err != nil {
		t.Fatal(err)
	}
	client.Close()
	got, err := io.ReadAll(server)
	if want := Preface + string(frameOf(keepAlive(1))); err != nil || string(got) != want {
		t.Errorf("the connection carried %q, %v; want %q", got, err, want)
	}
}

// stream returns the server's end of a connection that brings what r has.
func stream(r io.Reader) *Conn { return NewConn(&readOnlyConn{Reader: r}, 0) }

type readOnlyConn struct {
	net.Conn
	io.Reader
}

func (c *readOnlyConn) Read(b []byte) (int, error) { return c.Reader.Read(b) }

func TestFramesInAnyPieces(t *testing.T) {
	var all []byte
	sizes := []int{0, 1, 100, 1020, 1021, 5000, 70_000, 3, 200_000, 10}
	for _, n := range sizes {
		op := &ldlmv2.Op{Acquire: &ldlmv2.Acquire{Name: strings.Repeat("n", n)}}
		all = append(all, frameOf(&ldlmv2.ClientFrame{Ops: []*ldlmv2.Op{op}})...)
	}
	for name, r := range map[string]io.Reader{
		"at once":          strings.NewReader(string(all)),
		"byte by byte":     iotest.OneByteReader(strings.NewReader(string(all))),
		"half by half":     iotest.HalfReader(strings.NewReader(string(all))),
		"data with errors": iotest.DataErrReader(strings.NewReader(string(all))),
	} {
		t.Run(name, func(t *testing.T) {
			c := stream(r)
			var f ldlmv2.ClientFrame
			for _, n := range sizes {
				if err := c.ReadClient(&f); err != nil {
					t.Fatal(err)
				}
				if got := len(f.Ops[0].Acquire.Name); got != n {
					t.Fatalf("name of %d bytes, want %d", got, n)
				}
			}
			if err := c.ReadClient(&f); err != io.EOF {
				t.Errorf("after the last frame: %v, want %v", err, io.EOF)
			}
			if !c.PeerEnded() {
				t.Error("the end of the stream is not put down to the other side")
			}
		})
	}
}

func TestBufferedTellsWholeFrames(t *testing.T) {
	two := append(frameOf(keepAlive(1)), frameOf(keepAlive(2))...)
	c := stream(io.MultiReader(strings.NewReader(string(two[:len(two)-1])), strings.NewReader(string(two[len(two)-1:]))))
	var f ldlmv2.ClientFrame
	if c.Buffered() {
		t.Error("a frame is there before anything was read")
	}
	if err := c.ReadClient(&f); err != nil {
		t.Fatal(err)
	}
	if c.Buffered() {
		t.Error("a frame without its last byte counts as there")
	}
	c = stream(strings.NewReader(string(two)))
	if err := c.ReadClient(&f); err != nil {
		t.Fatal(err)
	}
	if !c.Buffered() {
		t.Error("the second frame came with the first and is not said to be there")
	}
}

func TestTooLargeAFrame(t *testing.T) {
	tests := []struct {
		name         string
		length       uint32
		limit, wants int64
	}{
		{"over the default", MaxFrameBytes + 1, 0, MaxFrameBytes},
		{"as large as can be said", 1<<32 - 1, 0, MaxFrameBytes},
		{"over a lower limit", 101, 100, 100},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := stream(strings.NewReader(string(binary.BigEndian.AppendUint32(nil, tt.length)) + "more"))
			if tt.limit != 0 {
				c.LimitRead(int(tt.limit))
			}
			var f ldlmv2.ClientFrame
			var bad *FrameError
			if err := c.ReadClient(&f); !errors.As(err, &bad) || bad.Limit != tt.wants {
				t.Errorf("error %v, want one with limit %d", err, tt.wants)
			}
			if !c.Buffered() {
				t.Error("the next read returns at once, but Buffered says no")
			}
		})
	}
	client, _ := tcpPair(t)
	f := &ldlmv2.ServerFrame{GoAway: &ldlmv2.GoAway{Reason: strings.Repeat("x", MaxFrameBytes)}}
	var bad *FrameError
	if err := NewConn(client, 0).WriteServer(f); !errors.As(err, &bad) {
		t.Errorf("writing too large a frame: %v", err)
	}
}

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestHostileLengthsCostLittle(t *testing.T) {
	const most = 60 // times the bytes that came: messages have much room for what is not set
	frame := func(content string, times int) []byte {
		b := binary.BigEndian.AppendUint32(nil, uint32(len(content)*times))
		return append(b, strings.Repeat(content, times)...)
	}
	labels := field(3, field(3, field(8, []byte(strings.Repeat("\x12\x05\x0a\x03abc", 1<<12))...)...)...)
	tests := map[string][]byte{
		"a length and nothing more":     binary.BigEndian.AppendUint32(nil, MaxFrameBytes),
		"a length and a little":         append(binary.BigEndian.AppendUint32(nil, MaxFrameBytes), make([]byte, 5000)...),
		"empty operations":              frame("\x1a\x00", 1<<20),
		"shortest operations":           frame("\x1a\x04\x10\x01\x4a\x00", 1<<14),
		"empty acquires":                frame("\x1a\x02\x1a\x00", 1<<14),
		"empty items":                   frame("\x1a\x04\x22\x02\x0a\x00", 1<<14),
		"labels":                        frame(string(labels), 1),
		"features of hello":             frame("\x0a\x02\x12\x00", 1<<15),
		"hello over and over":           frame("\x0a\x00", 1<<20),
		"keep-alives over and over":     frame("\x12\x00", 1<<20),
		"unknown fields":                frame("\xfa\x01\x00", 1<<20),
		"a length beyond the frame":     frame("\x1a\xff\xff\xff\x7f", 1),
		"a name longer than the frame":  frame("\x1a\x07\x1a\x05\x0a\xff\xff\xff\x7f", 1),
		"a field length beyond 32 bits": frame("\x1a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 1),
	}
	for name, b := range tests {
		t.Run(name, func(t *testing.T) {
			c := stream(strings.NewReader(string(b)))
			got := allocated(func() {
				var f ldlmv2.ClientFrame
				_ = c.ReadClient(&f)
			})
			if limit := uint64(most*len(b) + 16<<10); got > limit {
				t.Errorf("%d bytes allocated for %d that came, more than %d", got, len(b), limit)
			}
		})
	}
}

func TestBufferFollowsTheTraffic(t *testing.T) {
	big := strings.Repeat(string(frameOf(keepAlive(1))), 100_000)
	small := strings.NewReader(strings.Repeat(string(frameOf(keepAlive(1))), 10_000))
	c := stream(io.MultiReader(strings.NewReader(big), &chunks{small, len(frameOf(keepAlive(1)))}))
	var f ldlmv2.ClientFrame
	largest := 0
	for {
		if err := c.ReadClient(&f); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		largest = max(largest, len(c.in.buf))
	}
	if largest != mostBuffer {
		t.Errorf("buffer of a busy connection had %d bytes, want %d", largest, mostBuffer)
	}
	if got := len(c.in.buf); got != leastBuffer {
		t.Errorf("buffer of a calm connection has %d bytes, want %d", got, leastBuffer)
	}
	large := frameOf(&ldlmv2.ClientFrame{Close: &ldlmv2.CloseSession{}, Ops: []*ldlmv2.Op{
		{Acquire: &ldlmv2.Acquire{Name: strings.Repeat("n", 1<<20)}},
	}})
	c = stream(io.MultiReader(strings.NewReader(string(large)), strings.NewReader(big)))
	for range 2 {
		if err := c.ReadClient(&f); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(c.in.buf); got > mostBuffer {
		t.Errorf("the buffer of %d bytes for a large frame is kept", got)
	}
}

// chunks reads so many bytes at a time.
type chunks struct {
	r io.Reader
	n int
}

func (c *chunks) Read(b []byte) (int, error) { return c.r.Read(b[:min(c.n, len(b))]) }

func TestReadingGoesOnAfterATimeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer a.Close()
		c := NewConn(b, 0)
		defer c.Close()
		frame := frameOf(keepAlive(7))
		go func() {
			_, _ = a.Write(frame[:5])
			<-time.After(2 * time.Second)
			_, _ = a.Write(frame[5:])
		}()
		var f ldlmv2.ClientFrame
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		if err := c.ReadClient(&f); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("error %v, want a time-out", err)
		}
		_ = c.SetReadDeadline(time.Time{})
		if err := c.ReadClient(&f); err != nil || f.KeepAlive.GetNumber() != 7 {
			t.Errorf("after the time-out read %v, %v", &f, err)
		}
		if c.PeerEnded() {
			t.Error("a time-out is put down to the other side")
		}
	})
}

func TestWhoEndedIt(t *testing.T) {
	tests := []struct {
		name string
		// end ends the connection; the server reads afterwards.
		end  func(client *net.TCPConn, c *Conn)
		want bool
	}{
		{"the client closed", func(client *net.TCPConn, _ *Conn) { client.Close() }, true},
		{"the client ended its side", func(client *net.TCPConn, _ *Conn) { _ = client.CloseWrite() }, true},
		{"in the middle of a frame", func(client *net.TCPConn, _ *Conn) { _, _ = client.Write([]byte{0, 0, 0}); client.Close() }, true},
		{"the client reset", func(client *net.TCPConn, _ *Conn) { _ = client.SetLinger(0); client.Close() }, true},
		{"we closed", func(_ *net.TCPConn, c *Conn) { c.Close() }, false},
		{"we closed, then the client", func(client *net.TCPConn, c *Conn) { c.Close(); client.Close() }, false},
		{"a time-out", func(_ *net.TCPConn, c *Conn) { _ = c.SetReadDeadline(time.Unix(1, 0)) }, false},
		{"too large a frame", func(client *net.TCPConn, _ *Conn) { _, _ = client.Write([]byte{255, 255, 255, 255}) }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client, server := tcpPair(t)
			c := NewConn(server, time.Minute)
			if c.PeerEnded() {
				t.Fatal("ended before anything happened")
			}
			tt.end(client, c)
			var f ldlmv2.ClientFrame
			if err := c.ReadClient(&f); err == nil {
				t.Fatal("read a frame from an ended connection")
			}
			if got := c.PeerEnded(); got != tt.want {
				t.Errorf("ended by the other side: %v, want %v", got, tt.want)
			}
			c.Close()
			if got := c.PeerEnded(); got != tt.want {
				t.Errorf("after closing: %v, want %v", got, tt.want)
			}
		})
	}
}

// late is a connection on which the end of the other side is read after this
// one has closed it.
type late struct{ net.Conn }

func (late) Read([]byte) (int, error) { return 0, io.EOF }
func (late) Close() error             { return nil }

func TestWhoEndsItFirstHasEndedIt(t *testing.T) {
	c := NewConn(late{}, 0)
	c.Close()
	var f ldlmv2.ClientFrame
	if err := c.ReadClient(&f); err != io.EOF {
		t.Errorf("read %v, want %v", err, io.EOF)
	}
	if c.PeerEnded() {
		t.Error("our end is put down to the other side, which came second")
	}
}

func TestAFrameCutShort(t *testing.T) {
	for n := 1; n < 10; n++ {
		c := stream(strings.NewReader(string(frameOf(keepAlive(1 << 40))[:n])))
		var f ldlmv2.ClientFrame
		if err := c.ReadClient(&f); err != io.ErrUnexpectedEOF || !c.PeerEnded() {
			t.Errorf("cut after %d bytes: %v, ended by the other side: %v", n, err, c.PeerEnded())
		}
	}
}

func TestAWriteTellsOfTheEndToo(t *testing.T) {
	client, server := tcpPair(t)
	_ = client.SetLinger(0)
	client.Close()
	c := NewConn(server, time.Minute)
	var err error
	for err == nil { // the first write may still go out
		err = c.WriteServer(&ldlmv2.ServerFrame{})
	}
	if !c.PeerEnded() {
		t.Errorf("the reset is not put down to the other side: %v", err)
	}
}

func TestWhoDoesNotReadIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 5 * time.Second
		a, b := net.Pipe()
		defer a.Close()
		c := NewConn(b, timeout)
		defer c.Close()
		start := time.Now()
		err := c.WriteServer(&ldlmv2.ServerFrame{})
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("error %v, want a time-out", err)
		}
		if took := time.Since(start); took < timeout || took > 2*timeout {
			t.Errorf("cut after %v, want between %v and twice that", took, timeout)
		}
		if c.PeerEnded() {
			t.Error("the time-out is put down to the other side")
		}
		if again := c.WriteServer(&ldlmv2.ServerFrame{}); again != err {
			t.Errorf("writing on after half a frame: %v, want %v", again, err)
		}
	})
}

func TestALongLifeOfWritesIsNotCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 5 * time.Second
		a, b := net.Pipe()
		c := NewConn(b, timeout)
		done := make(chan error)
		go func() { _, err := io.Copy(io.Discard, a); done <- err }()
		for range 100 {
			if err := c.WriteServer(&ldlmv2.ServerFrame{}); err != nil {
				t.Fatal(err)
			}
			<-time.After(timeout / 3)
		}
		c.Close()
		<-done
		a.Close()
	})
}

func TestTheLastFrameIsRead(t *testing.T) {
	client, server := tcpPair(t)
	unread := strings.Repeat(string(frameOf(keepAlive(1))), 1000) + "\xff\xff\xff\xff and no frame at all"
	if _, err := io.WriteString(client, unread); err != nil {
		t.Fatal(err)
	}
	c := NewConn(server, time.Minute)
	var f ldlmv2.ClientFrame
	if err := c.ReadClient(&f); err != nil {
		t.Fatal(err)
	}
	last := &ldlmv2.ServerFrame{End: &ldlmv2.Status{Code: ldlmv2.Code_CODE_PROTOCOL, Message: "enough"}}
	if err := c.WriteServer(last); err != nil {
		t.Fatal(err)
	}
	if err := c.Finish(time.Minute); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		var err error
		for err == nil {
			err = c.ReadClient(&f)
		}
		c.Close()
		done <- err
	}()
	var got ldlmv2.ServerFrame
	cl := NewClientConn(client, 0)
	if err := cl.ReadServer(&got); err != nil || !proto.Equal(&got, last) {
		t.Errorf("the client read %v, %v", &got, err)
	}
	cl.Close()
	if err := <-done; err != io.EOF {
		t.Errorf("reading to the end: %v, want %v", err, io.EOF)
	}
	if c.PeerEnded() {
		t.Error("our end is put down to the other side")
	}
}

func TestFinishingHasAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer a.Close()
		c := NewConn(halfCloser{b}, 0)
		defer c.Close()
		start := time.Now()
		if err := c.Finish(time.Second); err != nil {
			t.Fatal(err)
		}
		if err := c.WriteServer(&ldlmv2.ServerFrame{}); err != net.ErrClosed {
			t.Errorf("writing afterwards: %v, want %v", err, net.ErrClosed)
		}
		var f ldlmv2.ClientFrame
		if err := c.ReadClient(&f); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("reading: %v, want a time-out", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("reading ended after %v, want 1s", took)
		}
	})
}

func TestFinishingWithoutHalves(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	if err := NewConn(b, 0).Finish(time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the other side reads %v, want %v", err, io.EOF)
	}
}

// halfCloser is a connection that claims to have closed its half.
type halfCloser struct{ net.Conn }

func (halfCloser) CloseWrite() error { return nil }
