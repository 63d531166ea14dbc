package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm"
	"github.com/ldlm-io/ldlm/internal/document"
)

func newStatus(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "Show a server: version, uptime, role, storage, how much there is",
		Args:  noArgs,
	}
	o := addOutputFlags(p, c)
	o.addWatch(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return o.show(c.Context(), func(ctx context.Context, c *ldlm.Client) (view, error) {
			s, err := c.Admin().Status(ctx)
			if err != nil {
				return view{}, err
			}
			return statusView(statusDocument(s, o.connection.Address)), nil
		})
	}
	return c
}

func statusView(d document.Status) view {
	return view{
		doc: d, names: []string{either(d.Member, d.Address)},
		lines: func(_, color bool) []string {
			s := &sheet{color: color}
			s.field("Server", d.Address)
			if d.Member != "" {
				s.field("Member", d.Member)
			}
			s.field("Version", d.Version)
			s.block("Role", &table{rows: [][]cell{{roleCell(d)}}})
			s.field("Uptime", shortDuration(inGo(d.UptimeMS)))
			s.field("Storage", storageText(d.Storage))
			s.field("Locks", fmt.Sprintf("%d: %d held, %d contended", d.Locks, d.Held, d.Contended))
			s.field("Holds", fmt.Sprintf("%d, and %s", d.Holds, counted(d.Waiters, "request waits", "requests wait")))
			s.field("Sessions", fmt.Sprintf("%d: %d attached", d.Sessions, d.Attached))
			if d.Token != "" {
				s.field("Token", string(d.Token)+", the newest")
			}
			return s.lines()
		},
	}
}

func roleCell(d document.Status) cell {
	switch {
	case d.Draining:
		return cell{d.Role + ", on its way out: it grants nothing any more", trouble}
	case d.Role == "leader":
		return cell{d.Role, good}
	case d.Leader != "":
		return cell{d.Role + "; " + d.Leader + " leads", plain}
	default:
		return cell{d.Role + "; nobody is known to lead", attention}
	}
}

func storageText(storage string) string {
	if storage == "memory" {
		return "memory: locks end with the server"
	}
	return storage
}
