package main

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	ldlmv1 "github.com/ldlm-io/ldlm/api/v1"
	"github.com/ldlm-io/ldlm/internal/verify/history"
)

const (
	// callPatience is how long a caller of the first protocol waits for an answer.
	callPatience = 5 * time.Second
	// firstLease is the lock time-out of the first protocol, in seconds.
	firstLease = 30
)

// firstWorker speaks the first protocol on a connection to one member.
type firstWorker struct {
	*worker
	member int
	conn   *grpc.ClientConn
	lock   ldlmv1.LDLMClient
}

func (w *worker) runFirst(ctx context.Context) error {
	f := &firstWorker{worker: w, member: w.number}
	defer f.hangUp()
	for w.pause(ctx) == nil {
		if f.conn == nil {
			f.member++
			conn, err := grpc.NewClient("passthrough:///"+w.Natives[f.member%len(w.Natives)], grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				return err
			}
			f.conn, f.lock = conn, ldlmv1.NewLDLMClient(conn)
		}
		f.something(ctx)
	}
	return nil
}

// hangUp ends the connection, and with it the session.
func (f *firstWorker) hangUp() {
	if f.conn != nil {
		f.conn.Close()
		f.conn = nil
	}
}

func (f *firstWorker) something(ctx context.Context) {
	it := f.anyLock()
	id := f.begin(f.number, it)
	call, cancel := context.WithTimeout(context.Background(), callPatience)
	defer cancel()
	var r *ldlmv1.LockResponse
	var err error
	try := f.of(50)
	if try {
		r, err = f.lock.TryLock(call, &ldlmv1.TryLockRequest{Name: it.lock, Size: new(int32(it.size)), LockTimeoutSeconds: new(int32(firstLease))})
	} else {
		r, err = f.lock.Lock(call, &ldlmv1.LockRequest{
			Name: it.lock, Size: new(int32(it.size)), LockTimeoutSeconds: new(int32(firstLease)), WaitTimeoutSeconds: new(int32(1)),
		})
	}
	switch {
	case err != nil:
		f.told(id, history.Unknown, 0)
		f.hangUp()
	case r.GetLocked():
		f.told(id, history.Granted, 0)
		f.use(ctx, id, &firstHold{f: f, name: it.lock, key: r.GetKey()}, f.howLong(), 300*time.Millisecond)
	case try && r.GetError() == nil:
		f.told(id, history.Refused, 0)
	default:
		f.told(id, history.None, 0)
	}
}

// firstHold is a hold of the first protocol: it was there when a renewal was sent that
// was answered well.
type firstHold struct {
	f         *firstWorker
	name, key string
}

func (h *firstHold) sure() (int64, bool) {
	call, cancel := context.WithTimeout(context.Background(), callPatience)
	defer cancel()
	at := monotonic()
	r, err := h.f.lock.Renew(call, &ldlmv1.RenewRequest{Name: h.name, Key: h.key, LockTimeoutSeconds: firstLease})
	if err != nil {
		h.f.hangUp()
	}
	return at, err == nil && r.GetLocked()
}

func (h *firstHold) release() bool {
	call, cancel := context.WithTimeout(context.Background(), callPatience)
	defer cancel()
	r, err := h.f.lock.Unlock(call, &ldlmv1.UnlockRequest{Name: h.name, Key: h.key})
	if err != nil {
		h.f.hangUp()
	}
	return err == nil && r.GetUnlocked()
}
