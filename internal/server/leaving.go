package server

import (
	"context"
	"errors"
	"time"

	"github.com/ldlm-io/ldlm/internal/journal"
)

// keepWithin bounds how long a member that ends tries to keep the holds of its clients of the
// first protocol: much longer than an election.
const keepWithin = 10 * time.Second

// keepHolds lets the holds of clients of the first protocol stay without them. That takes a
// majority of the members. Without one a member ends all the same: those holds end with the
// member's lease then, as if it had died.
func (m *membership) keepHolds(ctx context.Context) error {
	limit, cancel := context.WithTimeout(ctx, keepWithin)
	defer cancel()
	err := m.node.DisownBound(limit)
	if errors.Is(err, journal.ErrRefused) || errors.Is(err, journal.ErrUnknown) {
		m.log.WarnContext(ctx, "Holds of clients of the first protocol may end with the lease of this member: no majority of the members has taken them over", "err", err)
		return nil
	}
	return err
}

// yield hands the lead over before the server ends.
func (m *membership) yield(ctx context.Context) {
	if err := m.journal.Yield(); err != nil {
		m.log.WarnContext(ctx, "The lead could not be handed over: the others will miss this member first", "err", err)
	}
}
