package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm/internal/cluster"
	"github.com/ldlm-io/ldlm/internal/server"
)

// An ordering is a command that changes something about the members.
type ordering struct {
	p      *Process
	asker  *clusterAsker
	output *outputFlags
}

func newOrdering(p *Process, a *clusterAsker, c *cobra.Command) *ordering {
	a.bind(c)
	return &ordering{p, a, addLocalOutputFlags(p, c)}
}

// say tells what has been done; in another format than a table, how the members are now.
func (o *ordering) say(ctx context.Context, text string) error {
	if f := o.output.format.name; f == "" || f == formatTable || f == formatWide {
		_, err := fmt.Fprintln(o.p.Stdout, text)
		return err
	}
	s, err := o.asker.status(ctx)
	if err != nil {
		return err
	}
	return o.output.printer(false).print(clusterView(s, time.Now()))
}

func newClusterJoin(p *Process, a *clusterAsker) *cobra.Command {
	c := &cobra.Command{
		Use:   "join NAME=HOST:PORT",
		Short: "Take a new member in, or tell the others where one is now",
		Long: "Makes a member known to the others, at the address where it listens to members: as one without\n" +
			"a vote, which is sent everything. It need not run yet. It is started with an empty data directory,\n" +
			"its name and cluster_join, and gets its vote when it has caught up.\n\n" +
			"A member that is started with cluster_join makes itself known, so that this is not needed. It is for\n" +
			"whoever wants to have it written down first who comes. The name must never have been used\n" +
			"before: it belongs to its first data directory for ever.\n\n" +
			"Of a member that there is already the others learn the present address, without a restart. It\n" +
			"must answer there.",
		Example: "  ldlm cluster join c=h3:3147 --member h1:3147",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return misused(c, fmt.Errorf("takes one member, NAME=HOST:PORT, but was given %d", len(args)))
			}
			if _, err := server.ParseMembers(args[0]); err != nil || strings.Contains(args[0], ",") {
				return misused(c, fmt.Errorf("%q is no member: a member is NAME=HOST:PORT, as in c=h3:3147", args[0]))
			}
			return nil
		},
	}
	o := newOrdering(p, a, c)
	c.RunE = func(c *cobra.Command, args []string) error {
		before, err := a.status(c.Context())
		if err != nil {
			return err
		}
		if err := a.order(c.Context(), cluster.TopicAdmit, args[0]); err != nil {
			return err
		}
		name, address, _ := strings.Cut(args[0], "=")
		return o.say(c.Context(), a.admitted(before, name, address))
	}
	return c
}

// admitted tells what came of it that a member was made known.
func (a *clusterAsker) admitted(before *cluster.Status, name, address string) string {
	own, was := memberOf(before, before.Member), memberOf(before, name)
	switch {
	case was.Votes && was.Address == address:
		return fmt.Sprintf("%s is a member at %s already, and has a vote.", name, address)
	case was.Votes:
		return fmt.Sprintf("The others look for %s at %s now. Start it with that address from now on (cluster_advertise_address).", name, address)
	}
	start := fmt.Sprintf("ldlm server --data_dir DIR --member_name %s --cluster_listen_address %s --cluster_join %s", name, address, own.Address)
	if a.files.Given() {
		start += fmt.Sprintf(" --cluster_ca %s --cluster_cert %s.pem --cluster_key %s-key.pem", shellWord(a.files.Authority), name, name)
	}
	return fmt.Sprintf("%s is a member at %s, and has no vote yet. It gets one when it runs and has caught up:\n  %s", name, address, start)
}

// memberOf returns what is said of a member, nothing if it is none.
func memberOf(s *cluster.Status, name string) cluster.Info {
	for _, m := range s.Members {
		if m.Member == name {
			return m
		}
	}
	return cluster.Info{}
}

func newClusterTransfer(p *Process, a *clusterAsker) *cobra.Command {
	c := &cobra.Command{
		Use: "transfer [MEMBER]", Short: "Hand the lead to a member, or to any",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return misused(c, fmt.Errorf("takes one member at most, but was given %d", len(args)))
			}
			return nil
		},
	}
	o := newOrdering(p, a, c)
	c.RunE = func(c *cobra.Command, args []string) error {
		to := ""
		if len(args) == 1 {
			to = args[0]
		}
		if err := a.order(c.Context(), cluster.TopicLead, to); err != nil {
			return err
		}
		return o.say(c.Context(), "The lead was handed over.")
	}
	return c
}

func newClusterRemove(p *Process, a *clusterAsker) *cobra.Command {
	var sure confirmation
	c := &cobra.Command{
		Use: "remove MEMBER", Short: "Make a member none any more: it has no vote, and its clients' sessions end when they could not have been kept",
		Long: "Makes a member none any more. It has no vote, and the sessions of its clients end when they could\n" +
			"not have been kept. What is left must still be a majority that runs. On a terminal the name\n" +
			"has to be typed once more; a script gives --yes.",
		Args: oneMember,
	}
	o := newOrdering(p, a, c)
	sure.add(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		ask, err := sure.needed(p, c)
		if err != nil {
			return err
		}
		if ask {
			if err := p.confirm("Type the name of the member to remove it", args[0]); err != nil {
				return err
			}
		}
		if err := a.order(c.Context(), cluster.TopicRemove, args[0]); err != nil {
			return err
		}
		return o.say(c.Context(), args[0]+" is no member any more. Its data directory must not be used again.")
	}
	return c
}

func oneMember(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return misused(c, fmt.Errorf("takes the name of one member, but was given %d", len(args)))
	}
	return nil
}
