package cluster

import (
	"bufio"
	"context"
	"net"
	"sync"
	"time"
)

// maxAnswering bounds the questions of one connection that are answered at a time;
// more wait in the socket.
const maxAnswering = 4096

// answer answers questions until the connection ends.
func (p *Port) answer(c net.Conn, h *hello) {
	ctx, cancel := context.WithCancel(withAsker(p.ctx, c, h))
	out := make(chan frame, 64)
	var writing, answering sync.WaitGroup
	writing.Go(func() {
		_ = writeFrames(c, out, ctx.Done()) // the reader sees the end as well
		cancel()
		_ = c.Close()
	})
	defer func() {
		cancel()
		_ = c.Close()
		answering.Wait()
		writing.Wait()
	}()
	busy := make(chan struct{}, maxAnswering)
	r := bufio.NewReaderSize(c, 64<<10)
	for {
		if err := c.SetReadDeadline(time.Now().Add(lifeWithin)); err != nil {
			return
		}
		f, err := readFrame(r)
		if err != nil {
			return
		}
		if f.number == 0 || len(f.payload) == 0 {
			continue
		}
		handler := p.handler(f.payload[0])
		if handler == nil || f.payload[0] == TopicJournal && h.from == "" {
			handler = func(context.Context, []byte) []byte { return nil }
		}
		select {
		case busy <- struct{}{}:
		case <-ctx.Done():
			return
		}
		answering.Go(func() {
			defer func() { <-busy }()
			b := handler(ctx, f.payload[1:])
			select {
			case out <- frame{f.number, b}:
			case <-ctx.Done():
			}
		})
	}
}
