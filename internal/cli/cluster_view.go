package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ldlm-io/ldlm/internal/cluster"
)

// clusterView shows a cluster as one of its members sees it.
func clusterView(s *cluster.Status, now time.Time) view {
	v := view{doc: s}
	for _, m := range s.Members {
		v.names = append(v.names, m.Member)
	}
	v.lines = func(_, color bool) []string {
		lines := []string{fmt.Sprintf("Cluster %s, as member %s sees it: term %d, entry %d, format level %d", s.Cluster, s.Member, s.Term, s.Entry, s.Format)}
		lines = append(lines, membersTable(s).lines(color)...)
		for _, r := range examineCluster(s, now) {
			text := printable(r.Text)
			if color {
				text = styleOf(r.Verdict).paint(text)
			}
			lines = append(lines, text)
		}
		return lines
	}
	return v
}

func styleOf(verdict string) style {
	switch verdict {
	case verdictOK:
		return good
	case verdictWrong:
		return trouble
	default:
		return attention
	}
}

func membersTable(s *cluster.Status) *table {
	t := &table{}
	t.addTexts(heading, "MEMBER", "ADDRESS", "VOTE", "LEADS", "ANSWERS", "BEHIND", "VERSION")
	for _, m := range s.Members {
		vote, leads := cell{"yes", plain}, cell{"-", plain}
		if !m.Votes {
			vote = cell{"not yet", attention}
		}
		if m.Member == s.Leader {
			leads = cell{"yes", good}
		}
		t.add(cell{m.Member, plain}, cell{m.Address, plain}, vote, leads, answersCell(m), cell{behindText(m), plain}, cell{either(m.Version, "-"), plain})
	}
	return t
}

func answersCell(m cluster.Info) cell {
	switch {
	case m.Answers:
		return cell{"yes", good}
	case m.HeardMS == nil:
		return cell{"never did", trouble}
	default:
		return cell{"not for " + shortDuration(time.Duration(*m.HeardMS)*time.Millisecond), trouble}
	}
}

// behindText is how many entries a member lacks that another one has applied.
func behindText(m cluster.Info) string {
	if !m.Answers {
		return "-"
	}
	return strconv.FormatUint(m.Behind, 10)
}

// examineCluster says what is to be said of a cluster, one sentence for each.
func examineCluster(s *cluster.Status, now time.Time) []finding {
	f := findings{examineQuorum(s)}
	for _, m := range s.Members {
		f.examineMember(s, m, now)
	}
	f.examineVersions(s)
	if s.Compared > 0 {
		f.say(verdictOK, fmt.Sprintf("a majority had the same table as %s at entry %d", s.Member, s.Compared))
	}
	return f
}

type findings []finding

func (f *findings) say(verdict, text string) { *f = append(*f, finding{"members", verdict, text}) }

// examineQuorum says whether there is a majority, and who leads.
func examineQuorum(s *cluster.Status) finding {
	voters, answer := 0, 0
	for _, m := range s.Members {
		if m.Votes {
			voters++
			if m.Answers {
				answer++
			}
		}
	}
	count := fmt.Sprintf("%d of %d members with a vote answer", answer, voters)
	switch {
	case len(s.Awaits) > 0:
		return finding{"members", verdictWrong, fmt.Sprintf("it is new, and %s waits to meet %s: all members of a new cluster must run and reach each other once",
			s.Member, strings.Join(s.Awaits, ", "))}
	case s.Removed || memberOf(s, s.Member).Member == "":
		return finding{"members", verdictWrong, s.Member + " is no member any more: to come back it needs an empty data directory, another name and cluster_join"}
	case 2*answer <= voters && s.Leader != "" && s.Leader != s.Member:
		return finding{"members", verdictWrong, fmt.Sprintf("%s, as far as %s can ask them, and %s leads: the others serve, and %s may soon be cut off; mend the network, or the names of hosts",
			count, s.Member, s.Leader, s.Member)}
	case 2*answer <= voters:
		return finding{"members", verdictWrong, fmt.Sprintf("%s, and %d must: nothing is granted without a majority; start those that are missing, or mend the network",
			count, voters/2+1)}
	case s.Leader == "":
		return finding{"members", verdictWrong, count + ", and none is known to lead: if that stays, their logs say why"}
	default:
		return finding{"members", verdictOK, fmt.Sprintf("%s, and %s leads", count, s.Leader)}
	}
}

// Whoever lags by more entries than the log keeps is sent a whole snapshot. Clocks that differ by
// less than this may have been read that late.
const (
	farBehind   = 2048
	clocksApart = 2000 // milliseconds
	expiresSoon = 30 * 24 * time.Hour
)

// examineMember says what is to be said of one member.
func (f *findings) examineMember(s *cluster.Status, m cluster.Info, now time.Time) {
	if !m.Answers {
		f.say(verdictWrong, fmt.Sprintf("%s at %s does not answer: %s", m.Member, m.Address, either(m.Silence, "it was not asked yet")))
	}
	if !m.Votes {
		f.say(verdictNote, m.Member+" has no vote yet: it gets one when it runs with cluster_join and has caught up")
	}
	if n := m.Behind; m.Answers && n > farBehind {
		f.say(verdictNote, fmt.Sprintf("%s is %d entries behind, which is more than the log keeps for it: it is sent a snapshot", m.Member, n))
	}
	if ms := m.ClockMS; max(ms, -ms) >= clocksApart {
		side := "ahead of"
		if ms < 0 {
			ms, side = -ms, "behind"
		}
		f.say(verdictNote, fmt.Sprintf("the clock of %s is %s %s that of %s: leases do not need it, certificates and logs do",
			m.Member, shortDuration(time.Duration(ms)*time.Millisecond), side, s.Member))
	}
	switch until := m.CertificateUntil; {
	case until.IsZero():
	case now.After(until):
		f.say(verdictWrong, fmt.Sprintf("the certificate of %s has expired on %s: ldlm cluster ca issue makes another", m.Member, until.UTC().Format(time.RFC3339)))
	case until.Sub(now) < expiresSoon:
		f.say(verdictNote, fmt.Sprintf("the certificate of %s expires soon, on %s: ldlm cluster ca issue makes another", m.Member, until.UTC().Format(time.RFC3339)))
	}
}

// examineVersions says whether members have different versions, and what that means.
func (f *findings) examineVersions(s *cluster.Status) {
	var versions []string
	oldest := s.Level
	for _, m := range s.Members {
		if m.Version == "" {
			return // not known of all
		}
		if !slices.Contains(versions, m.Version) {
			versions = append(versions, m.Version)
		}
		oldest = min(oldest, m.Level)
	}
	switch {
	case len(versions) > 1:
		f.say(verdictNote, fmt.Sprintf("members have different versions, %s: they use formats of level %d, and all of them know level %d",
			strings.Join(versions, " and "), s.Format, oldest))
	case s.Format < oldest:
		f.say(verdictNote, fmt.Sprintf("members use formats of level %d, and all of them know level %d: they change to it about 10 s after all have answered the one that leads, and nothing is amiss until then", s.Format, oldest))
	}
}
