package cluster

import "time"

// Topics of questions that members and operators ask.
const (
	// TopicJournal has the journals' questions, which only members may ask.
	TopicJournal = 'J'
	// TopicStatus is answered with a Status, as JSON.
	TopicStatus = 'S'
	// TopicLead hands the lead to the member of the name in the question, or to any.
	// The answer is empty, or says why not.
	TopicLead = 'L'
	// TopicRemove makes the member of the name in the question none any more. The
	// answer is empty, or says why not.
	TopicRemove = 'X'
	// TopicAdmit makes the member in the question, NAME=HOST:PORT, one of the others without
	// a vote, or tells them where a member is now. The answer is empty, or says why not.
	TopicAdmit = 'A'
	// TopicReport has the questions of the member that leads to the others, what they know
	// and have.
	TopicReport = 'R'
)

// Status is how a member sees the cluster.
type Status struct {
	Cluster string `json:"cluster"`
	Member  string `json:"member"`
	Version string `json:"version"`
	// Level is the newest format that the member's program knows, Format the one in use.
	Level  uint32 `json:"level"`
	Format uint32 `json:"format"`
	// Clients is where clients reach the member.
	Clients string `json:"clients"`
	// Leader is the member that leads, "" if that is not known there.
	Leader string `json:"leader"`
	Term   uint64 `json:"term"`
	// Applied counts the entries that the member has applied.
	Applied uint64 `json:"applied"`
	// Entry is the newest entry of the log that the member has applied.
	Entry uint64 `json:"entry"`
	// Compared is the newest entry at which a majority is known to have had the same table as
	// the member; 0: none since it runs.
	Compared uint64 `json:"compared,omitempty"`
	// Time is what the member's clock of the wall shows.
	Time time.Time `json:"time"`
	// CertificateUntil is when the member's certificate expires, or that of the authority; zero in
	// plain text.
	CertificateUntil time.Time `json:"certificate_until,omitzero"`
	// Awaits are the members that this one of a new cluster has not met yet.
	Awaits []string `json:"awaits,omitempty"`
	// Removed says that others have this member in their lists no more, though it was not told.
	Removed bool `json:"removed,omitempty"`
	// Joined says that the member serves clients.
	Joined  bool   `json:"joined"`
	Members []Info `json:"members"`
}

// Info is a member, as another one knows it. What it said of itself is what it said last.
type Info struct {
	Member  string `json:"member"`
	Address string `json:"address"`
	Votes   bool   `json:"votes"`
	// Answers says that it has answered when the other one was asked for its status by an
	// operator; HeardMS is how many milliseconds ago it last did, nil if it never did.
	Answers bool   `json:"answers"`
	HeardMS *int64 `json:"heard_ms,omitempty"`
	// Silence says why it does not answer.
	Silence string `json:"silence,omitempty"`
	Version string `json:"version,omitempty"`
	Level   uint32 `json:"level,omitempty"`
	Entry   uint64 `json:"entry,omitempty"`
	// Behind counts the entries that it has not applied yet and another member has.
	Behind uint64 `json:"behind"`
	// ClockMS is by how many milliseconds its clock of the wall is ahead of the other one's.
	ClockMS          int64     `json:"clock_ms,omitempty"`
	CertificateUntil time.Time `json:"certificate_until,omitzero"`
}
