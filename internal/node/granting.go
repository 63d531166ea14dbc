package node

import (
	"context"
	"fmt"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// StopGranting keeps everything from being granted from now on: tries are
// refused, waits go on, releases and renewals are carried out. It is how a
// process ends whose journal forgets: the ends of its connections, and of leases
// meanwhile, must not make anybody a holder who never hears of it. There is no
// way back, and it concerns all members of a journal.
func (n *Node) StopGranting(ctx context.Context) error {
	o, err := n.ask(ctx, &lock.Birth{Quiet: lock.MaxDuration})
	if err == nil && o.Code != lock.OK {
		err = fmt.Errorf("the table refuses: code %d", o.Code)
	}
	return err
}
