package auth

import (
	"fmt"
	"sync"
	"time"
)

// CrowdedError says that there are as many connections as there may be.
type CrowdedError struct {
	// Field is what is limited: "connections", or "connections_of_principal".
	Field string
	Limit int
	// Rest is for how long the answer is to be kept back; see [Gate.Exceed].
	Rest time.Duration
}

func (e *CrowdedError) Error() string {
	if e.Field == fieldConnectionsOf {
		return fmt.Sprintf("the principal has %d connections, and may have no more; close some, or raise its max_connections", e.Limit)
	}
	return fmt.Sprintf("the server has %d connections of clients, and may have no more; try again later or elsewhere, or raise max_connections", e.Limit)
}

// What a [CrowdedError] is about.
const (
	fieldConnections   = "connections"
	fieldConnectionsOf = "connections_of_principal"
)

// places counts connections. The zero value has none.
type places struct {
	mu  sync.Mutex // guards what follows; held for a few assignments
	all int
	// of are those of principals that have names and connections.
	of map[string]int
}

// Enter counts a connection in over which somebody was let in; whoever serves it calls
// leave, once, when it is over. The error is a [*CrowdedError]. Those who are not
// known by a name are bounded together with all others alone. How the connection came and
// from where is for the log.
func (g *Gate) Enter(p *Pass, via string, remote func() string) (leave func(), err error) {
	who := p.Principal()
	name, each := who.Name, who.Limits.Connections
	if each == 0 {
		each = g.connectionsEach
	}
	if crowded := g.places.add(name, g.connections, each); crowded != nil {
		crowded.Rest = g.Exceed(&Excess{Pass: p, Via: via, Remote: remote, Field: crowded.Field, Limit: int64(crowded.Limit)})
		return nil, crowded
	}
	return func() { g.places.remove(name) }, nil
}

// add adds a connection unless a limit is reached; 0 is none.
func (x *places) add(name string, most, each int) *CrowdedError {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case most > 0 && x.all >= most:
		return &CrowdedError{Field: fieldConnections, Limit: most}
	case name != "" && each > 0 && x.of[name] >= each:
		return &CrowdedError{Field: fieldConnectionsOf, Limit: each}
	}
	x.all++
	if name != "" {
		if x.of == nil {
			x.of = map[string]int{}
		}
		x.of[name]++
	}
	return nil
}

func (x *places) remove(name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.all--
	if name == "" {
		return
	}
	if x.of[name]--; x.of[name] == 0 {
		delete(x.of, name)
	}
}
