package document

// Sessions is a list of sessions.
type Sessions struct {
	// Time of the look.
	Time     Time      `json:"time"`
	Sessions []Session `json:"sessions"`
}

// Session describes a client and what it holds.
type Session struct {
	// Session is its number.
	Session Number `json:"session"`
	// Client is what its client says of itself.
	Client *Client `json:"client,omitempty"`
	// Attached says that a connection is.
	Attached bool `json:"attached"`
	// TTL is how long it outlives its last confirmed keep-alive.
	TTL   string `json:"ttl"`
	TTLMS *int64 `json:"ttl_ms"`
	// Left is what is left of it while no connection is attached.
	Left   string `json:"left,omitempty"`
	LeftMS *int64 `json:"left_ms,omitempty"`
	// Age is how long ago it was opened.
	Age   string `json:"age"`
	AgeMS *int64 `json:"age_ms"`
	// LastHeard is how long ago the server that was asked has heard of it; missing
	// if its connection ends elsewhere.
	LastHeard   string `json:"last_heard,omitempty"`
	LastHeardMS *int64 `json:"last_heard_ms,omitempty"`
	// HoldCount and WaitCount count what it has and wants.
	HoldCount int `json:"hold_count"`
	WaitCount int `json:"wait_count"`
	// Holds and Waits, oldest first; only where one session was asked for.
	Holds []Holder `json:"holds,omitempty"`
	Waits []Waiter `json:"waits,omitempty"`
	// Value is the client's word.
	Value []byte `json:"value,omitempty"`
}
