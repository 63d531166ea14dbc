// Package sim is the simulation of clients, a server and the network between
// them: tests only.
//
// The table is the real one. Around it are models of what follows the rules of
// time, lives and requests: clients of both protocols, a member, a journal whose
// entries may be late, refused or of unknown outcome, machines whose clocks
// drift, stop and are suspended, and a network that delays, duplicates and cuts.
// Everything that happens is drawn from a seed, on one virtual clock, so that a
// failure is seen again with its seed.
//
// An observer with true time looks after each event: never two believers, no
// stale write that a token or fence lets pass, grants in the order of the queue,
// no lock that is stuck, none that is lost without cause.
//
// Every rule has a switch (broken). For each there is a trial, a plan in which
// the harm of leaving the rule out shows soon.
//
// Rules that live in the table are broken in a copy that the compiler gets as an
// overlay (tableFaults).
//
// # What is not simulated
//
//   - Two members that both serve: one takes the place of another, which may not
//     know it yet; tables that are behind, leases, beats and terms are there.
//
//   - Sessions that live by calls, and holds outside sessions.
//
//   - Clients that take grants from older connections. It does no harm: such a
//     connection is closed when a newer one stands, and until then what is heard
//     there is put right by what the newer one says is alive. Keep-alives on
//     older connections have a switch.
//
//   - Force against one lock of a grant of several: what is alive is told by
//     token, so a client that resumes takes the whole grant for alive.
//
//   - A late copy of a member's Join, except that nobody claims then that the
//     incarnation before is certainly over: it would end the present one, whose
//     member may not have seen it yet.
//
//   - That time of another term does not count makes no difference here: an entry
//     carries too little of it. The tests of the table show it.
//
//     LDLM_SIM_SEEDS=1000 go test ./internal/sim    more runs
//     LDLM_SIM_SLOW=1 go test ./internal/sim        trials whose harm is rare, too
package sim
