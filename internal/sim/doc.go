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
// the harm of leaving the rule out shows soon, or a reason why there is none yet.
//
//	LDLM_SIM_SEEDS=1000 go test ./internal/sim    more runs
//	LDLM_SIM_SLOW=1 go test ./internal/sim        trials whose harm is rare, too
package sim
