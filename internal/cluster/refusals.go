package cluster

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// refusalsEvery is how often the log has the same refusal of the same host: who is refused
// tries again several times a second.
const refusalsEvery = time.Minute

// mostRefusals bounds what is remembered; then all of it is forgotten.
const mostRefusals = 256

// refusals are connections that were refused, as the log has them. The zero value has none.
// It is safe for concurrent use.
type refusals struct {
	mu   sync.Mutex
	said map[string]*refusal // by host and reason
}

type refusal struct {
	at    time.Time // of the newest line
	since int       // refusals that had none
}

// note notes a refusal, and returns whether the log is to have a line of it, and how many like
// it had none before.
func (r *refusals) note(from net.Addr, err error) (say bool, suppressed int) {
	host, _, splitting := net.SplitHostPort(from.String())
	if splitting != nil {
		host = from.String()
	}
	key := host + " " + withoutNumbers(err.Error())
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	last := r.said[key]
	if last != nil && now.Sub(last.at) < refusalsEvery {
		last.since++
		return false, 0
	}
	if r.said == nil || len(r.said) >= mostRefusals {
		r.said = map[string]*refusal{}
	}
	r.said[key] = &refusal{at: now}
	if last != nil {
		suppressed = last.since
	}
	return true, suppressed
}

// withoutNumbers is a text without its digits: reasons that differ in a time or a port are the same.
func withoutNumbers(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, text)
}

// explained adds to an error of a TLS handshake what is to be done about it.
func explained(err error) error {
	var remote *net.OpError
	switch _, stranger := errors.AsType[x509.UnknownAuthorityError](err); {
	case stranger:
		return fmt.Errorf("%w: the certificate of the other side is not of this side's authority; cluster_ca must be the same everywhere, and sign all certificates", err)
	case errors.As(err, &remote) && remote.Op == "remote error":
		return fmt.Errorf("%w: the other side does not take this side's certificate, and has the reason in its log or its answer; cluster_ca must be the same everywhere, and no certificate may have expired", err)
	default:
		return err
	}
}
