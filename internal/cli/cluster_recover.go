package cli

import (
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm/internal/archive"
	"github.com/ldlm-io/ldlm/internal/journal/raftlog"
)

func newClusterRecover(p *Process) *cobra.Command {
	var from, to, name string
	var quiet time.Duration
	c := &cobra.Command{
		Use:   "recover --data-dir DIR --to NEW",
		Short: "Go on with what one member has, when a majority is lost for ever",
		Long: "Makes a new data directory, of a cluster of one, of that of a member that does not run.\n" +
			"It is the last resort: what only the lost members had is lost, and nobody can say how\n" +
			"much that is. While a majority can still come back, wait for it.\n\n" +
			"Take the member that has most: ldlm dump tells the newest entry. No member of the old\n" +
			"cluster may run any more; one that does is refused, since the new cluster is another\n" +
			"one. Clients may believe in locks that only the lost members knew. So nothing is granted\n" +
			"until their sessions are over, for the longest ttl that there can be and the lease of a\n" +
			"member, counted from the first start on; --quiet makes that longer. Tokens go on above\n" +
			"all that were given out. DIR is only read.",
		Example: "  ldlm cluster recover --data-dir /var/lib/ldlm --to /var/lib/ldlm.new\n" +
			"  ldlm server --data_dir /var/lib/ldlm.new --cluster_listen_address h1:3147",
		Args: noArgs,
	}
	o := addLocalOutputFlags(p, c)
	c.Flags().StringVar(&from, "data-dir", "", "`DIR` of a member that does not run")
	c.Flags().StringVar(&to, "to", "", "directory to make, new or empty")
	c.Flags().StringVar(&name, "member-name", "", "`NAME` of the member that goes on (default: that of DIR)")
	c.Flags().Var(durationValue(&quiet), "quiet", "how long nothing is granted, if that is longer than it must be")
	c.Flags().SetNormalizeFunc(hyphens)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if from == "" || to == "" {
			return misused(c, errors.New("--data-dir and --to are both needed: what is left, and where to go on"))
		}
		_, member, err := raftlog.Whose(from)
		if err != nil {
			return err
		}
		if name != "" {
			member = name
		}
		s, err := readDirectory(from)
		if err != nil {
			return err
		}
		d, err := s.Restore(archive.Target{Dir: to, Member: member}, quiet)
		if err != nil {
			return err
		}
		return o.printer(false).print(restoredView(d))
	}
	return c
}

// readDirectory reads the state of a member that does not run.
func readDirectory(dir string) (*archive.Snapshot, error) {
	r, w := io.Pipe()
	saved := make(chan error, 1)
	go func() {
		_, err := archive.Save(dir, w)
		_ = w.CloseWithError(err) // it has none of its own
		saved <- err
	}()
	s, err := archive.Read(r)
	_ = r.CloseWithError(errors.New("nobody reads on"))
	if failed := <-saved; failed != nil {
		return nil, failed
	}
	return s, err
}
