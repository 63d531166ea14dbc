package cli

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ldlm-io/ldlm/internal/cluster"
)

// three is a cluster of three of which all is well, with changes.
func three(change func(*cluster.Status)) *cluster.Status {
	s := &cluster.Status{Cluster: "01", Member: "a", Version: "2", Level: 3, Format: 3, Leader: "b"}
	for _, name := range []string{"a", "b", "c"} {
		heard := int64(5000)
		s.Members = append(s.Members, cluster.Info{Member: name, Address: name + ":3147", Votes: true, Answers: true, HeardMS: &heard, Version: "2", Level: 3})
	}
	change(s)
	return s
}

// What is wrong with a cluster is said, and nothing else; the verdict is that of the first word.
func TestExamineCluster(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	dead := func(s *cluster.Status, i int) {
		s.Members[i].Answers, s.Members[i].Silence = false, "connection refused"
	}
	for name, c := range map[string]struct {
		change func(*cluster.Status)
		want   []string // beginnings
	}{
		"healthy": {func(*cluster.Status) {}, []string{"ok 3 of 3 members with a vote answer, and b leads"}},
		"one dead": {
			func(s *cluster.Status) { dead(s, 2) },
			[]string{"ok 2 of 3", "wrong c at c:3147 does not answer: connection refused"},
		},
		"two dead": {
			func(s *cluster.Status) { dead(s, 1); dead(s, 2); s.Leader = "" },
			[]string{"wrong 1 of 3 members with a vote answer, and 2 must: nothing is granted", "wrong b at", "wrong c at"},
		},
		"nobody leads": {func(s *cluster.Status) { s.Leader = "" }, []string{"wrong 3 of 3 members with a vote answer, and none is known to lead"}},
		"new":          {func(s *cluster.Status) { s.Awaits, s.Leader = []string{"b", "c"}, "" }, []string{"wrong it is new, and a waits to meet b, c"}},
		"cut off half": {
			func(s *cluster.Status) { dead(s, 1); dead(s, 2); s.Leader = "b" },
			[]string{"wrong 1 of 3 members with a vote answer, as far as a can ask them, and b leads", "wrong b at", "wrong c at"},
		},
		"removed while cut off": {func(s *cluster.Status) { s.Removed, s.Leader = true, "" }, []string{"wrong a is no member any more"}},
		"removed":               {func(s *cluster.Status) { s.Members = s.Members[1:] }, []string{"wrong a is no member any more"}},
		"far behind":            {func(s *cluster.Status) { s.Members[2].Behind = 5000 }, []string{"ok 3 of 3", "note c is 5000 entries behind"}},
		"joining": {
			func(s *cluster.Status) { s.Members[2].Votes = false },
			[]string{"ok 2 of 2", "note c has no vote yet"},
		},
		"clocks": {
			func(s *cluster.Status) { s.Members[1].ClockMS, s.Members[2].ClockMS = -90_000, 1999 },
			[]string{"ok 3 of 3", "note the clock of b is 1m30s behind that of a"},
		},
		"certificates": {
			func(s *cluster.Status) {
				s.Members[0].CertificateUntil = now.Add(-time.Hour)
				s.Members[1].CertificateUntil = now.Add(24 * time.Hour)
				s.Members[2].CertificateUntil = now.Add(365 * 24 * time.Hour)
			},
			[]string{"ok 3 of 3", "wrong the certificate of a has expired on 2029-12-31T23:00:00Z", "note the certificate of b expires soon, on 2030-01-02T00:00:00Z"},
		},
		"mixed versions": {
			func(s *cluster.Status) { s.Members[1].Version, s.Members[1].Level, s.Format = "1", 2, 2 },
			[]string{"ok 3 of 3", "note members have different versions, 2 and 1: they use formats of level 2, and all of them know level 2"},
		},
		"not agreed yet": {func(s *cluster.Status) { s.Format = 2 }, []string{"ok 3 of 3", "note members use formats of level 2, and all of them know level 3"}},
		"compared":       {func(s *cluster.Status) { s.Compared = 77 }, []string{"ok 3 of 3", "ok a majority had the same table as a at entry 77"}},
	} {
		var got []string
		for _, f := range examineCluster(three(c.change), now) {
			got = append(got, f.Verdict+" "+f.Text)
		}
		if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestClusterTable(t *testing.T) {
	s := three(func(s *cluster.Status) {
		s.Members[1].Answers = false
		s.Members[2].Answers, s.Members[2].HeardMS, s.Members[2].Votes, s.Members[2].Version = false, nil, false, ""
	})
	v := clusterView(s, time.Now())
	got := strings.Join(v.lines(false, false)[1:5], "\n")
	want := strings.TrimSpace(`
MEMBER  ADDRESS  VOTE     LEADS  ANSWERS     BEHIND  VERSION
a       a:3147   yes      -      yes         0       2
b       b:3147   yes      yes    not for 5s  -       2
c       c:3147   not yet  -      never did   -       -`)
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if !slices.Equal(v.names, []string{"a", "b", "c"}) {
		t.Errorf("names %q", v.names)
	}
}

// Who has made a member known is told what to do next.
func TestAdmitted(t *testing.T) {
	a := &clusterAsker{files: cluster.Files{Authority: "ca.pem"}}
	before := three(func(s *cluster.Status) { s.Members[2].Votes = false })
	for name, want := range map[string]string{
		"a=a:3147": "a is a member at a:3147 already, and has a vote.",
		"b=x:3147": "The others look for b at x:3147 now.",
		"c=c:3147": "c is a member at c:3147, and has no vote yet. It gets one",
		"d=d:3147": "--member_name d --cluster_listen_address d:3147 --cluster_join a:3147 --cluster_ca ca.pem --cluster_cert d.pem --cluster_key d-key.pem",
	} {
		member, address, _ := strings.Cut(name, "=")
		if got := a.admitted(before, member, address); !strings.Contains(got, want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// Nobody is removed by a script that has not said that it means it: that is refused before
// anybody is asked.
func TestRemoveWithoutTerminal(t *testing.T) {
	got := call(t, Ldlm, nil, "cluster", "remove", "b", "--member", "127.0.0.1:1")
	const want = "ldlm cluster remove: there is no terminal to ask on; --yes says that you mean it\n"
	if got.code != 64 || got.stdout != "" || !strings.HasPrefix(got.stderr, want) {
		t.Errorf("got %+v, want code 64 and %q", got, want)
	}
}
