package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

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
		lines: func(wide, color bool) []string {
			s := &sheet{color: color}
			s.field("Server", d.Address)
			if d.Member != "" {
				s.field("Member", d.Member)
			}
			s.field("Version", d.Version)
			s.block("Role", &table{rows: [][]cell{{roleCell(d)}}})
			describeMembers(s, d.Member, d.Members)
			s.field("Uptime", shortDuration(inGo(d.UptimeMS)))
			s.field("Storage", storageText(d.Storage))
			describeDirectory(s, d.Directory)
			if d.Quiet != "" {
				s.block("Quiet", &table{rows: [][]cell{{{"nothing is granted for " + shortDuration(inGo(d.QuietMS)) + " more: clients may believe in what this server does not know", attention}}}})
			}
			if d.ReloadFailed != "" {
				s.block("Reload", &table{rows: [][]cell{{{"failed " + shortDuration(inGo(d.ReloadFailedMS)) + " ago, and nothing has changed; the log of the server says why", trouble}}}})
			}
			s.field("Locks", fmt.Sprintf("%d: %d held, %d contended", d.Locks, d.Held, d.Contended))
			s.field("Holds", fmt.Sprintf("%d, and %s", d.Holds, counted(d.Waiters, "request waits", "requests wait")))
			s.field("Sessions", fmt.Sprintf("%d: %d attached", d.Sessions, d.Attached))
			if d.Token != "" {
				s.field("Token", string(d.Token)+", the newest")
			}
			if wide && d.Refused != nil {
				s.field("Refused", refusedText(d.Refused))
			}
			return s.lines()
		},
	}
}

// refusedText says who was refused, leaving out what never happened.
func refusedText(r *document.Refused) string {
	var all []string
	for _, c := range []struct {
		count uint64
		what  string
	}{
		{r.Missing, "without a password"}, {r.Wrong, "with a wrong one"}, {r.TooMany, "after too many at their address"},
		{r.Denied, "for what they may not do"}, {r.Handshake, "by TLS"},
	} {
		if c.count > 0 {
			all = append(all, fmt.Sprintf("%d %s", c.count, c.what))
		}
	}
	for _, field := range slices.Sorted(maps.Keys(r.Limits)) {
		all = append(all, fmt.Sprintf("%d by the limit on %s", r.Limits[field], field))
	}
	if all == nil {
		return "nobody since it runs"
	}
	return strings.Join(all, ", ")
}

// describeMembers says how the members of a cluster are, as the one that is named own sees them.
func describeMembers(s *sheet, own string, members []document.Member) {
	if len(members) == 0 {
		return
	}
	t, voters, answer := &table{}, 0, 0
	for _, m := range members {
		if m.Votes {
			voters++
			if m.Answers {
				answer++
			}
		}
		t.add(cell{m.Name, plain}, cell{m.Address, plain}, memberCell(m))
	}
	count := cell{fmt.Sprintf("%d of %d with a vote answer", answer, voters), good}
	if 2*answer <= voters {
		count = cell{fmt.Sprintf("%s, and %d must: nothing is granted without a majority", count.text, voters/2+1), trouble}
	}
	if !slices.ContainsFunc(members, func(m document.Member) bool { return m.Name == own }) {
		count = cell{own + " is none of the members: it was removed, or has not joined them yet; its log says which", trouble}
	}
	s.block("Cluster", &table{rows: [][]cell{{count}}})
	s.block("Members", t)
}

// memberCell says how a member is.
func memberCell(m document.Member) cell {
	switch {
	case !m.Answers && m.LastHeardMS == nil:
		return cell{"has not answered yet", trouble}
	case !m.Answers:
		return cell{"has not answered for " + shortDuration(inGo(m.LastHeardMS)), trouble}
	case !m.Votes:
		return cell{fmt.Sprintf("no vote yet, %d entries behind", m.EntriesBehind), attention}
	case m.Leads:
		return cell{"leads, version " + m.Version, good}
	case m.EntriesBehind > 0:
		return cell{fmt.Sprintf("follows, %d entries behind, version %s", m.EntriesBehind, m.Version), plain}
	default:
		return cell{"follows, version " + m.Version, plain}
	}
}

// describeDirectory says how the data directory is, if there is one.
func describeDirectory(s *sheet, d *document.Directory) {
	if d == nil {
		return
	}
	s.field("Directory", d.Path+", "+bytesText(d.Bytes))
	s.block("Disk", &table{rows: [][]cell{{roomCell(d)}}})
	snapshot := "none yet"
	if d.SnapshotTime != nil {
		snapshot = fmt.Sprintf("taken %s, %s, up to entry %s of %s",
			time.Time(*d.SnapshotTime).UTC().Format(time.RFC3339), bytesText(d.SnapshotBytes), d.SnapshotEntry, d.LastEntry)
	}
	s.field("Snapshot", snapshot)
	s.field("Slowest", "fsync took "+shortDuration(inGo(d.SlowestSyncMS))+"; the disk is given up after "+shortDuration(inGo(d.SyncDeadlineMS)))
}

func roomCell(d *document.Directory) cell {
	free := bytesText(d.FreeBytes) + " of " + bytesText(d.TotalBytes) + " free"
	switch d.State {
	case document.OK:
		return cell{"ok, " + free, good}
	case document.NearlyFull:
		return cell{"nearly full, " + free + ": below " + bytesText(d.RefuseBelowBytes) + " nothing that changes locks is done", attention}
	case document.Refusing:
		return cell{"full, " + free + ": nothing that changes locks is done until there are " + bytesText(d.RefuseBelowBytes), trouble}
	default:
		return cell{"it is not known how much is free", plain}
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
