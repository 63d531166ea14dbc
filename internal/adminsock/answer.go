package adminsock

import (
	"context"
	"errors"

	"github.com/ldlm-io/ldlm/internal/audit"
	"github.com/ldlm-io/ldlm/internal/lock"
)

// Messages of refusals, as they always were.
const (
	textNotFound = "a lock by that name does not exist"
	textWrongKey = "invalid lock key"
)

// reasonUnlock is what is recorded with a hold that is ended without its key.
const reasonUnlock = "ldlm-lock unlock"

const (
	// pageLocks and pageHolds are how many are read at a time.
	pageLocks, pageHolds = 100, 500
	// maxUnlockAttempts bounds how often a grant may end by itself while it is
	// being unlocked, and the next one is tried.
	maxUnlockAttempts = 100
)

// list answers with all grants.
func (s *Server) list(w *replies) error {
	for after := uint64(0); ; {
		locks, next, err := s.node.List(s.ctx, lock.LockFilter{State: lock.HeldState}, after, pageLocks)
		if err != nil {
			return refuse(Failed, err)
		}
		for i := range locks {
			if err := s.listGrants(w, &locks[i]); err != nil {
				return err
			}
		}
		if next == 0 {
			return nil
		}
		after = next
	}
}

// listGrants answers with the grants of a lock, of which v may show the first only.
func (s *Server) listGrants(w *replies, v *lock.LockView) error {
	holds := v.Holders
	for seen := 0; len(holds) > 0; {
		for i := range holds {
			if holds[i].Delay {
				continue
			}
			g := Grant{Name: v.Name, Key: holds[i].Key.String(), Size: v.Size}
			if err := w.add(&reply{Grant: &g}); err != nil {
				return err
			}
		}
		if seen += len(holds); seen >= v.HolderCount {
			return nil
		}
		var err error
		if holds, err = s.node.Holders(s.ctx, v.Name, holds[len(holds)-1].Token, pageHolds); err != nil {
			return refuse(Failed, err)
		}
	}
	return nil
}

// unlock ends a grant: that of the key, or any one if there is no key.
func (s *Server) unlock(by audit.Actor, name string, key *string) error {
	ctx, stop := context.WithTimeout(s.ctx, patience)
	defer stop()
	e := audit.Entry{Action: audit.Unlock, Actor: by, Lock: name, Reason: "with its key"}
	var err error
	if key != nil {
		// What is no key at all stays the zero key, which no hold has.
		k, _ := parseKey(*key)
		var o lock.Outcome
		o, err = s.node.Call(ctx, &lock.Release{Hold: lock.Hold{Name: name, Key: k}})
		err = refusal(&o, err)
	} else {
		err = s.force(ctx, &e)
	}
	if err != nil {
		e.Error = err.Error()
	}
	s.audit.Add(e)
	return err
}

// force ends the oldest grant of a name, and says in the entry whose it was.
func (s *Server) force(ctx context.Context, e *audit.Entry) error {
	e.Action, e.Reason = audit.ForcedRelease, reasonUnlock
	for range maxUnlockAttempts {
		h, err := s.oldest(ctx, e.Lock)
		if err != nil {
			return err
		}
		e.Token, e.Before = uint64(h.Token), audit.HoldOf(h)
		o, err := s.node.Call(ctx, &lock.ForceRelease{Name: e.Lock, Token: h.Token, Reason: reasonUnlock})
		if err != nil || o.Code != lock.TokenMoved {
			return refusal(&o, err)
		}
	}
	return refuse(Failed, errors.New("its grants end faster than they can be unlocked: try again"))
}

// oldest returns the oldest grant of a name. A lock that nobody
// holds counts as one that does not exist, as in the list.
func (s *Server) oldest(ctx context.Context, name string) (*lock.HoldView, error) {
	for after := lock.Token(0); ; {
		holds, err := s.node.Holders(ctx, name, after, pageHolds)
		switch {
		case err != nil:
			return nil, refuse(Failed, err)
		case len(holds) == 0:
			return nil, refuse(NotFound, errors.New(textNotFound))
		}
		for i := range holds {
			if !holds[i].Delay {
				return &holds[i], nil
			}
		}
		after = holds[len(holds)-1].Token
	}
}

// refusal turns what came of an unlock into what the peer is told; nil if it is
// done.
func refusal(o *lock.Outcome, err error) error {
	switch {
	case err != nil:
		return refuse(Failed, err)
	case o.Code == lock.OK:
		return nil
	case o.Code == lock.NotFound:
		return refuse(NotFound, errors.New(textNotFound))
	case o.Code == lock.WrongKey:
		return refuse(WrongKey, errors.New(textWrongKey))
	default:
		return refuse(Failed, errors.New("the server refused it; its log may say why"))
	}
}
