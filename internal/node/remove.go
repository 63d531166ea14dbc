package node

import (
	"context"
	"fmt"

	"github.com/ldlm-io/ldlm/internal/lock"
)

// EndMember ends a member in the table that will not come back under its name. Its
// clients' sessions live from the end of its lease on, for as long as they would if
// their connections had ended then. It does nothing if there is no such member.
func (n *Node) EndMember(ctx context.Context, member string) error {
	if err := n.catchUp(ctx); err != nil {
		return err
	}
	n.mu.Lock()
	in := n.table.MemberNamed(member)
	n.mu.Unlock()
	if in == 0 {
		return nil
	}
	o, err := n.ask(ctx, &lock.EndMember{Incarnation: in})
	if err == nil && o.Code != lock.OK && o.Code != lock.MemberEnded {
		err = fmt.Errorf("the table refuses: code %d", o.Code)
	}
	return err
}
