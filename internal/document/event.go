package document

// Reset is the type of what stands in for events that were missed. Nothing is
// known of them; look how things are.
const Reset = "reset"

// Event says that something happened.
type Event struct {
	// Number grows by one from event to event of a server.
	Number Number `json:"number,omitempty"`
	// Time by the wall clock of the server that told it.
	Time Time `json:"time"`
	// Type says what happened, in words joined by underscores: acquired,
	// session_closed; or Reset.
	Type string `json:"type"`
	// Lock that it is about; missing where it is about a session.
	Lock string `json:"lock,omitempty"`
	// Token of the hold.
	Token Number `json:"token,omitempty"`
	// Reason of an end, in words joined by underscores.
	Reason string `json:"reason,omitempty"`
	// Wait is how long a grant, or a wait that ended without one, has waited.
	Wait   string `json:"wait,omitempty"`
	WaitMS *int64 `json:"wait_ms,omitempty"`
	// Held is how long a hold that ended was held.
	Held   string `json:"held,omitempty"`
	HeldMS *int64 `json:"held_ms,omitempty"`
	Mode   string `json:"mode,omitempty"`
	// Permits of the hold or request.
	Permits int `json:"permits,omitempty"`
	// Size of the lock after a resize.
	Size int `json:"size,omitempty"`
	// Holder is whose hold, request or session it is.
	Holder *Party `json:"holder,omitempty"`
}

// Party is a session with its client.
type Party struct {
	Session Number  `json:"session,omitempty"`
	Client  *Client `json:"client,omitempty"`
}
