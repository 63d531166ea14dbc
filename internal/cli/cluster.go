package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
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
	c.AddCommand(newClusterStatus(p, asker), newClusterJoin(p, asker), newClusterTransfer(p, asker), newClusterRemove(p, asker),
		newClusterRecover(p), newClusterCA(p))
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
		next := "name the members' address of one that runs with --member"
		if !a.files.Given() {
			next += ", and give --cluster_ca, --cluster_cert and --cluster_key if members have certificates"
		}
		text := strings.TrimPrefix(err.Error(), cluster.ErrNotAsked.Error()+": ")
		return nil, &exitError{code: exitUnavailable, err: fmt.Errorf("ask the member at %s: %s; %s", withPort(a.at), text, next)}
	}
	return answer, nil
}

// status asks the member how it sees the cluster.
func (a *clusterAsker) status(ctx context.Context) (*cluster.Status, error) {
	answer, err := a.ask(ctx, cluster.TopicStatus, "")
	if err != nil {
		return nil, err
	}
	s := &cluster.Status{}
	if err := json.Unmarshal(answer, s); err != nil {
		return nil, &exitError{code: exitUnavailable, err: fmt.Errorf("the member at %s is still starting: ask again", withPort(a.at))}
	}
	return s, nil
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
	c := &cobra.Command{
		Use: "status", Aliases: []string{"members"}, Short: "Show the members: who leads, who answers, who lags",
		Long: "Shows the members as one of them sees them, which asks the others for it. What needs somebody\n" +
			"is said below them. The same as JSON is for programs; its durations are milliseconds.",
		Args: noArgs,
	}
	a.bind(c)
	o := addLocalOutputFlags(p, c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		s, err := a.status(c.Context())
		if err != nil {
			return err
		}
		return o.printer(false).print(clusterView(s, time.Now()))
	}
	return c
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
