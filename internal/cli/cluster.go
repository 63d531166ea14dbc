package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ldlm-io/ldlm/internal/cluster"
)

// clusterWithin bounds what is asked of a member.
const clusterWithin = 15 * time.Second

func newCluster(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "cluster",
		Short: "Look after the members of a cluster",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	asker := &clusterAsker{}
	c.AddCommand(newClusterStatus(p, asker), newClusterTransfer(p, asker), newClusterRemove(p, asker), newClusterRecover(p), newClusterCA(p))
	return c
}

// clusterAsker asks a member, on the members' port.
type clusterAsker struct {
	at    string
	files cluster.Files
}

// bind adds the flags that say whom to ask, and how.
func (a *clusterAsker) bind(c *cobra.Command) {
	c.Flags().StringVar(&a.at, "member", "localhost:"+membersPort, "host:port on which any member listens to others")
	c.Flags().StringVar(&a.files.Authority, "cluster_ca", "", "certificate of the members' authority, a PEM file")
	c.Flags().StringVar(&a.files.Certificate, "cluster_cert", "", "certificate that the authority has signed, a PEM file")
	c.Flags().StringVar(&a.files.Key, "cluster_key", "", "key of that certificate, a PEM file")
}

// ask asks the member.
func (a *clusterAsker) ask(ctx context.Context, topic byte, question string) ([]byte, error) {
	port, err := cluster.Open(cluster.Config{Files: a.files})
	if err != nil {
		return nil, err
	}
	defer port.Close()
	ctx, cancel := context.WithTimeout(ctx, clusterWithin)
	defer cancel()
	answer, err := port.Ask(ctx, "", withPort(a.at), topic, []byte(question))
	if err != nil {
		return nil, &exitError{code: exitUnavailable, err: fmt.Errorf("ask the member at %s: %w", withPort(a.at), err)}
	}
	return answer, nil
}

// order asks the member to do something.
func (a *clusterAsker) order(ctx context.Context, topic byte, question string) error {
	answer, err := a.ask(ctx, topic, question)
	if err == nil && len(answer) > 0 {
		err = &exitError{code: exitFailure, err: errors.New(string(answer))}
	}
	return err
}

func newClusterStatus(p *Process, a *clusterAsker) *cobra.Command {
	c := &cobra.Command{Use: "status", Aliases: []string{"members"}, Short: "Show the members, and who leads", Args: noArgs}
	a.bind(c)
	format := c.Flags().StringP("output", "o", "table", "table or json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *format != "table" && *format != "json" {
			return misused(c, fmt.Errorf("there is no output %q; there are table and json", *format))
		}
		answer, err := a.ask(c.Context(), cluster.TopicStatus, "")
		if err != nil {
			return err
		}
		var s cluster.Status
		if err := json.Unmarshal(answer, &s); err != nil {
			return &exitError{code: exitUnavailable, err: fmt.Errorf("the member at %s is still starting: ask again", a.at)}
		}
		if *format == "json" {
			e := json.NewEncoder(p.Stdout)
			e.SetIndent("", "  ")
			return e.Encode(s)
		}
		return printCluster(p.Stdout, &s)
	}
	return c
}

// printCluster shows a cluster as one of its members sees it.
func printCluster(to io.Writer, s *cluster.Status) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "cluster %s, as member %s sees it: term %d, %d entries applied\n", s.Cluster, s.Member, s.Term, s.Applied)
	switch {
	case len(s.Awaits) > 0:
		fmt.Fprintf(w, "it is new, and waits to meet %s: all members of a new cluster must run and reach each other once\n", strings.Join(s.Awaits, ", "))
	case s.Leader == "":
		fmt.Fprintln(w, "no member leads that it can reach: a majority of those with a vote must run and reach each other")
	}
	fmt.Fprintln(w, "MEMBER\tADDRESS\tVOTE\tLEADS")
	for _, m := range s.Members {
		vote, leads := "yes", ""
		if !m.Votes {
			vote = "not yet"
		}
		if m.Member == s.Leader {
			leads = "yes"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", m.Member, m.Address, vote, leads)
	}
	return w.Flush()
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
	a.bind(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		to := ""
		if len(args) == 1 {
			to = args[0]
		}
		if err := a.order(c.Context(), cluster.TopicLead, to); err != nil {
			return err
		}
		_, err := fmt.Fprintln(p.Stdout, "The lead was handed over.")
		return err
	}
	return c
}

func newClusterRemove(p *Process, a *clusterAsker) *cobra.Command {
	c := &cobra.Command{
		Use: "remove MEMBER", Short: "Make a member none any more: it has no vote, and its clients' sessions end when they could not have been kept",
		Args: oneMember,
	}
	a.bind(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := a.order(c.Context(), cluster.TopicRemove, args[0]); err != nil {
			return err
		}
		_, err := fmt.Fprintf(p.Stdout, "%s is no member any more. Its data directory must not be used again.\n", args[0])
		return err
	}
	return c
}

func oneMember(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return misused(c, fmt.Errorf("takes the name of one member, but was given %d", len(args)))
	}
	return nil
}

func newClusterCA(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use: "ca", Short: "Make certificates for members", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	begin := &cobra.Command{Use: "init", Short: "Make an authority that signs the certificates of members", Args: noArgs}
	issue := &cobra.Command{Use: "issue MEMBER", Short: "Make a certificate for a member", Args: oneMember}
	dir := "."
	for _, sub := range []*cobra.Command{begin, issue} {
		sub.Flags().StringVar(&dir, "dir", ".", "directory of the authority; keep its key where no server runs")
		c.AddCommand(sub)
	}
	made := func(certificate, key string, err error) error {
		if err != nil {
			return &exitError{code: exitFailure, err: err}
		}
		_, err = fmt.Fprintf(p.Stdout, "%s\n%s\n", certificate, key)
		return err
	}
	begin.RunE = func(*cobra.Command, []string) error { return made(cluster.InitAuthority(dir)) }
	issue.RunE = func(_ *cobra.Command, args []string) error { return made(cluster.Issue(dir, args[0])) }
	return c
}
