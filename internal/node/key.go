package node

import (
	"crypto/rand"
	"sync"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// keySource draws the keys of holds: random UUIDs of version 4. It reads the
// system's random numbers in pieces, since one call for each key would cost
// more than the grant.
type keySource struct {
	mu   sync.Mutex
	buf  [4096]byte
	left []byte // of buf, not handed out yet
}

// fill gives every acquire that has no key one. Retries keep the first.
func (s *keySource) fill(commands []lock.Command) {
	for i, c := range commands {
		if keyless(c) != nil {
			s.draw(commands[i:])
			return
		}
	}
}

// keyless returns the key of an acquire that has none yet.
func keyless(c lock.Command) *lock.Key {
	if a, ok := c.(*lock.Acquire); ok && a.Key == (lock.Key{}) {
		return &a.Key
	}
	return nil
}

func (s *keySource) draw(commands []lock.Command) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range commands {
		if k := keyless(c); k != nil {
			s.drawOne(k)
		}
	}
}

func (s *keySource) drawOne(k *lock.Key) {
	if len(s.left) < len(k) {
		// Never fails: the process ends if the system has no random numbers.
		_, _ = rand.Read(s.buf[:])
		s.left = s.buf[:]
	}
	n := copy(k[:], s.left)
	clear(s.left[:n]) // what was handed out is not kept
	s.left = s.left[n:]
	k[6] = k[6]&0x0f | 0x40
	k[8] = k[8]&0x3f | 0x80
}
