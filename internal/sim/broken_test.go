package sim

// broken says which rules are not obeyed; the zero value obeys all of them.
// Each switch has a trial that shows what then goes wrong.
type broken struct {
	// Time.
	CountsEarlierLead   bool // a leader counts from when it looked last, though another led since
	StampsBeforeClosing bool // a batch takes in commands after it was stamped
	ReturnsUnknownTime  bool // the time of an entry that may yet come goes into the next one too
	LosesRefusedTime    bool // the time of a refused entry is forgotten
	CountsStalls        bool // a leader that stood still counts all of it
	LooksOnlyAtStamps   bool // nobody looks at the clock while nothing is proposed
	NoMargin            bool // who waits counts the whole ttl or lease
	ClockStopsInSuspend bool // a client counts by the clock that stands still in suspend

	// Members and sessions.
	BeatCountsFromAnswer  bool // a member's lease counts from when the beat was applied
	ConfirmsUnlooked      bool // keep-alives are confirmed without a look into the table
	ConfirmsPastLease     bool // keep-alives are confirmed although the member's lease is over
	ServesBeforeBeat      bool // a member confirms before its first beat was taken
	KeepsCallersPastLease bool // connections of the first protocol stay although the member's lease is over
	ClaimsSameDirectory   bool // a member says that the incarnation before its own is certainly over
	AnswersAfterDetach    bool // the connection goes on answering while its detach is under way
	Revives               bool // a late answer revives a lost session
	OldConnectionsCount   bool // keep-alives on older connections go on and count
	IgnoresNumbers        bool // a confirmation counts for the newest keep-alive, not for that of its number
	CountsFromAnswer      bool // a confirmation counts from when it arrives
	OperationsExtend      bool // any answer extends the session
	NeverGivesUp          bool // silent clients stay attached
	SilenceFromRead       bool // silence counts from the reading of a hello that was applied late
	HidesSilence          bool // a detach does not say how long the client was silent
	GivesUpUnread         bool // a member that stalled does not read before it gives up
	WaitsOnDeadConnection bool // a client without answers stays on its connection
	EndsWithStream        bool // the end of a connection ends every session at once
	ClosesOldEarly        bool // a client closes its old connection before a new one stands
	ClosesOldBlindly      bool // it closes it when a new one stands, though it may be attached later
	KeepsEndedConnections bool // the connection of a session that has ended stays open
	ComparesNothing       bool // what is attached without a connection stays attached
	IgnoresAlive          bool // a resumed client does not look at what is alive

	// Requests.
	AbandonsSlots         bool // a client that gives up uses the slot again without knowing the outcome
	RetriesAnew           bool // a retry is a new request
	CancelsWithConnection bool // the end of a connection cancels what was asked on it
	CancelsUnnumbered     bool // it does so without saying on which connection that was
	AnswersUnknown        bool // the first protocol is told "not acquired" where nobody knows
	LeaseCountsFromAnswer bool // a lease counts from when the grant arrives
	UsesBeforeRenewal     bool // a leased grant that waited is used without a renewal

	// Grants.
	BornWithoutWall  bool // tokens of a new table begin at 0
	BornWithoutQuiet bool // a table that has forgotten grants at once
	NoticesLag       bool // notices of ended holds leave after confirmations
}
