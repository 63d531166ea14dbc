package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/ldlm-io/ldlm"
)

// Lock is what Lock and TryLock return. Its fields are the program's to read;
// Unlock changes Locked, so calls of Unlock and reads of it need the program's
// own order.
type Lock struct {
	Name   string
	Key    string
	Locked bool

	client *Client
	modern *ldlm.Lock // nil unless this client took it
}

// locked wraps a lock that was granted, and watches over it.
func (c *Client) locked(name string, m *ldlm.Lock) *Lock {
	l := &Lock{Name: name, Key: m.Key(), Locked: true, client: c, modern: m}
	// No goroutine is spent on a lock until it ends.
	ended := m.Context(context.Background())
	context.AfterFunc(ended, func() {
		var loss *ldlm.LostError
		if !errors.As(context.Cause(ended), &loss) {
			return // unlocked
		}
		if loss.Reason == ldlm.ReasonExpired && !c.config.autoRefresh() {
			return // as the program meant it to be
		}
		c.lost(l, loss)
	})
	return l
}

// notLocked is what a caller gets who did not get the lock. Version 1 put a key
// into it that fits nothing; programs may have come to expect one.
func (c *Client) notLocked(name string) *Lock {
	return &Lock{Name: name, Key: uselessKey(), client: c}
}

func uselessKey() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Unlock releases the lock. It reports whether it did; of a lock that is not
// locked the error is ErrLockNotLocked.
func (l *Lock) Unlock() (bool, error) {
	if !l.Locked || l.client == nil {
		return false, ErrLockNotLocked
	}
	l.Locked = false
	if l.modern == nil {
		return l.client.Unlock(l.Name, l.Key)
	}
	err := l.modern.Release(l.client.ctx)
	var loss *ldlm.LostError
	if errors.As(err, &loss) && loss.Reason == ldlm.ReasonExpired {
		// This client's belief is over, but whoever has the key may have renewed
		// the lock since, and the server knows.
		return l.client.Unlock(l.Name, l.Key)
	}
	if err != nil {
		return false, classicRelease(err)
	}
	return true, nil
}

// classicRelease is classic for releases: the key of a lost lock fits nothing any more.
func classicRelease(err error) error {
	if errors.Is(err, ldlm.ErrLost) {
		return fmt.Errorf("%w: %w", ErrInvalidLockKey, err)
	}
	return classic(err)
}

// Done returns a channel that is closed when the lock was lost or unlocked; nil
// if it is not this client's.
func (l *Lock) Done() <-chan struct{} {
	if l.modern == nil {
		return nil
	}
	return l.modern.Done()
}

// Context returns a context that ends with ctx, and when the lock is lost or
// unlocked; its cause then says which.
func (l *Lock) Context(ctx context.Context) context.Context {
	if l.modern == nil {
		return ctx
	}
	return l.modern.Context(ctx)
}

// Modern returns the lock as package ldlm has it, with its fencing token; nil
// if it is not this client's.
func (l *Lock) Modern() *ldlm.Lock { return l.modern }
