package load

import (
	"context"

	"github.com/ldlm-io/ldlm"
)

// Native makes a connection of a client, whose carrier is the client's. Closing
// it closes the client.
func Native(c *ldlm.Client) Conn { return native{c} }

type native struct{ client *ldlm.Client }

func (n native) Lock(ctx context.Context, name string) (Hold, error) {
	l, err := n.client.Lock(ctx, name)
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (n native) Close() error { return n.client.Close() }
