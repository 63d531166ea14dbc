package cli

import (
	"strings"
	"testing"

	"github.com/ldlm-io/ldlm/internal/cluster"
)

// A cluster without a leader says what is missing.
func TestClusterWithoutLeader(t *testing.T) {
	for _, c := range []struct {
		s    cluster.Status
		want string
		not  string
	}{
		{cluster.Status{Member: "a", Awaits: []string{"b", "c"}}, "waits to meet b, c", "no member leads"},
		{cluster.Status{Member: "a"}, "no member leads", "waits to meet"},
		{cluster.Status{Member: "a", Leader: "b"}, "as member a sees it", "no member leads"},
	} {
		var b strings.Builder
		if err := printCluster(&b, &c.s); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), c.want) || strings.Contains(b.String(), c.not) {
			t.Errorf("%+v: %s", c.s, b.String())
		}
	}
}
