package cli

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/ldlm-io/ldlm/internal/document"
)

// A grant is what lock and elect print without a command, as JSON.
type grant struct {
	Name  string   `json:"name"`
	Names []string `json:"names,omitempty"` // where there are several
	Key   string   `json:"key"`
	// Token is a string of digits, as in all documents.
	Token  document.Number `json:"token"`
	Fence  document.Number `json:"fence,omitempty"`
	TTL    string          `json:"ttl"`
	TTLMS  *int64          `json:"ttl_ms"`
	Waited string          `json:"waited"`
	WaitMS *int64          `json:"waited_ms"`
}

// show prints key and token. Whoever should read them may not do so: the hold goes
// on meanwhile, and can be ended.
func (k *keeper) show() {
	l := k.lock
	text := fmt.Appendf(nil, "key %s\ntoken %d", l.Key(), l.Token())
	if k.output == "json" {
		g := grant{Name: l.Name(), Key: l.Key(), Token: document.NumberOf(l.Token()), Fence: document.NumberOf(l.Fence())}
		if names := l.Names(); len(names) > 1 {
			g.Names = names
		}
		g.TTL, g.TTLMS = document.Span(k.ttl)
		g.Waited, g.WaitMS = document.Span(l.Waited())
		var err error
		if text, err = document.Append(nil, g); err != nil {
			panic(err) // it has nothing in it that could not be written
		}
	}
	k.shown = make(chan error, 1)
	go func() {
		_, err := k.p.Stdout.Write(append(text, '\n'))
		k.shown <- err
	}()
}

// quoteName is a name in messages.
func quoteName(name string) string { return strconv.Quote(name) }

// pulsePatience bounds how long it may take to find out how a holder does.
const pulsePatience = time.Second

// sessionPulse says how lively a session is, as far as that can be found out.
func (h *holder) sessionPulse(ctx context.Context, number uint64) string {
	ctx, cancel := context.WithTimeout(ctx, pulsePatience)
	defer cancel()
	s, err := h.client.Admin().Session(ctx, number)
	if err != nil {
		return ""
	}
	text := ", session ttl " + shortDuration(s.TTL)
	if s.LastHeard >= 0 {
		text += ", last heard " + shortDuration(s.LastHeard) + " ago"
	}
	return text
}
