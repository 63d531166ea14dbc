package cluster

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
	// TopicReport has the questions of the member that leads to the others, what they know
	// and have.
	TopicReport = 'R'
)

// Status is how a member sees the cluster.
type Status struct {
	Cluster string `json:"cluster"`
	Member  string `json:"member"`
	Version string `json:"version"`
	// Clients is where clients reach the member.
	Clients string `json:"clients"`
	// Leader is the member that leads, "" if that is not known there.
	Leader string `json:"leader"`
	Term   uint64 `json:"term"`
	// Applied counts the entries that the member has applied.
	Applied uint64 `json:"applied"`
	// Entry is the newest entry of the log that the member has applied.
	Entry uint64 `json:"entry"`
	// Awaits are the members that this one of a new cluster has not met yet.
	Awaits []string `json:"awaits,omitempty"`
	// Joined says that the member serves clients.
	Joined  bool   `json:"joined"`
	Members []Info `json:"members"`
}

// Info is a member, as another one knows it.
type Info struct {
	Member  string `json:"member"`
	Address string `json:"address"`
	Votes   bool   `json:"votes"`
}
