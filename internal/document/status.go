package document

// Status says who answers, and how much there is.
type Status struct {
	// Address that was asked.
	Address string `json:"address,omitempty"`
	// Version of the server.
	Version string `json:"version"`
	// Member is the name of the server among its like, Role what it does there:
	// leader or follower. Leader is where clients reach who leads, if that is known
	// and another one.
	Member string `json:"member,omitempty"`
	Role   string `json:"role"`
	Leader string `json:"leader,omitempty"`
	// Storage is where the state is: memory or disk.
	Storage string `json:"storage"`
	// Draining says that it is on its way out and grants nothing any more.
	Draining bool `json:"draining"`
	// Uptime is how long it has been running.
	Uptime   string `json:"uptime"`
	UptimeMS *int64 `json:"uptime_ms"`
	// Locks in the table; held and contended ones among them.
	Locks     int `json:"locks"`
	Held      int `json:"held"`
	Contended int `json:"contended"`
	// Holds of all locks, and requests that wait.
	Holds   int `json:"holds"`
	Waiters int `json:"waiters"`
	// Sessions; those among them that a connection is attached to.
	Sessions int `json:"sessions"`
	Attached int `json:"attached"`
	// Token of the newest grant.
	Token Number `json:"token,omitempty"`
}

// Pong says that a server answers.
type Pong struct {
	Address string `json:"address"`
	// RoundTrip is how long a question and its answer took on a connection that
	// stood; RoundTripMS has fractions, because that is what matters here.
	RoundTrip   string  `json:"round_trip"`
	RoundTripMS float64 `json:"round_trip_ms"`
	// Connect is how long the first answer took, connection included.
	Connect   string  `json:"connect"`
	ConnectMS float64 `json:"connect_ms"`
}
