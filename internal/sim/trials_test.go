package sim

// trials are in the order of the switches.
var trials = []trial{
	{rule: "CountsEarlierLead", slow: true, harm: safety, plan: func(p *plan) {
		p.journal, p.elect, p.vacancy = moving, second, 60*millisecond
		p.leased, p.locks = 1000, 2
		p.cutOff, p.cutOffMost = 3*second, 15*second
	}},
	{rule: "ReturnsUnknownTime", harm: safety, plan: func(p *plan) {
		p.journal, p.slowStore, p.slowStoreMost = onDisk, 100, 3*second
		p.leased, p.locks = 1000, 2
		p.stop, p.stopMost = 2*second, 10*second
	}},
	{rule: "LosesRefusedTime", harm: liveness, plan: func(p *plan) {
		p.journal, p.turnAway, p.crash, p.machineToo = onDisk, 700, 10*second, 1000
		p.v1s, p.leased = 0, 0
	}},
	{rule: "CountsStalls", harm: liveness, plan: func(p *plan) {
		p.v1s, p.leased = 4, 1000
		p.memberStop, p.memberStopMost = 15*second, 6*second
	}},
	{rule: "LooksOnlyAtStamps", harm: liveness, plan: func(p *plan) {
		p.clients, p.v1s, p.ttl = 2, 0, 10*second
		p.crash, p.machineToo = 20*second, 1000
	}},
	{rule: "NoMargin", harm: safety, plan: func(p *plan) {
		p.stop, p.stopMost = 3*second, 15*second
		p.cutOff, p.cutOffMost = 3*second, 15*second
	}},
	{rule: "ClockStopsInSuspend", harm: safety, plan: func(p *plan) {
		p.suspend, p.suspendMost = 5*second, 15*second
	}},
	{rule: "ConfirmsUnlooked", harm: safety, plan: func(p *plan) {
		p.journal, p.lateProposal, p.lateProposalMost = onDisk, 300, 8*second
		p.sever, p.cutOff, p.cutOffMost = 3*second, 5*second, 15*second
	}},
	{rule: "ConfirmsPastLease", harm: safety, plan: farMember},
	{rule: "KeepsCallersPastLease", harm: safety, plan: func(p *plan) {
		farMember(p)
		p.clients, p.v1s = 2, 5
	}},
	{rule: "ClaimsSameDirectory", slow: true, harm: safety, plan: farMember},
	{rule: "AnswersAfterDetach", slow: true, harm: safety, plan: func(p *plan) {
		p.journal, p.lateProposal, p.lateProposalMost = onDisk, 700, 2*second
		p.stop, p.stopMost = 2*second, 4*second
		p.cutOff, p.cutOffMost = 2*second, 15*second
	}},
	{rule: "Revives", slow: true, harm: safety, plan: func(p *plan) {
		p.stop, p.stopMost = 5*second, 8*second
		p.late, p.lateMost = 100, 8*second
	}},
	{rule: "CountsFromAnswer", harm: safety, plan: func(p *plan) {
		p.late, p.lateMost = 200, 4*second
		p.cutOff, p.cutOffMost = 3*second, 15*second
	}},
	{rule: "OperationsExtend", harm: safety, plan: func(p *plan) {
		p.tasks, p.rest, p.work = 4, second/4, second/4
		p.cutOff, p.cutOffMost = 3*second, 15*second
	}},
	{rule: "NeverGivesUp", harm: liveness, plan: func(p *plan) {
		p.crash, p.machineToo = 10*second, 1000
	}},
	{rule: "SilenceFromRead", harm: safety, plan: func(p *plan) {
		p.journal, p.lateProposal, p.lateProposalMost = onDisk, 400, 5*second
		p.sever, p.cutOff, p.cutOffMost, p.longWork = 2*second, 2*second, 15*second, 500
	}},
	{rule: "HidesSilence", harm: liveness, plan: func(p *plan) {
		p.ttl, p.stop, p.stopMost = 10*second, 10*second, 60*second
	}},
	{rule: "GivesUpUnread", harm: liveness, plan: func(p *plan) {
		p.journal, p.ttl, p.memberStop, p.memberStopMost = onDisk, 2*second, 8*second, 2*second
	}},
	{rule: "WaitsOnDeadConnection", harm: liveness, plan: func(p *plan) {
		p.clients, p.sever = 2, 20*second
	}},
	{rule: "EndsWithStream", harm: safety, plan: func(p *plan) { p.reset = 3 * second; p.endWithConnection = 0 }},
	{rule: "ClosesOldEarly", harm: safety, plan: func(p *plan) { p.half = 3 * second; p.endWithConnection = 1000 }},
	{rule: "ClosesOldBlindly", harm: safety, plan: func(p *plan) {
		p.late, p.lateMost, p.endWithConnection = 200, 4*second, 1000
		p.half, p.longWork = 2*second, 500
	}},
	{rule: "KeepsEndedConnections", harm: safety, plan: func(p *plan) {
		p.v1s, p.kill, p.longWork = 5, 5*second, 800
	}},
	{rule: "ComparesNothing", harm: liveness, plan: func(p *plan) {
		p.journal, p.lateProposal, p.lateProposalMost = onDisk, 300, 4*second
		p.sever, p.crash, p.machineToo = 3*second, 5*second, 500
	}},
	{rule: "IgnoresAlive", harm: safety, plan: func(p *plan) {
		p.sever, p.force, p.longWork = 2*second, second, 800
	}},
	{rule: "AbandonsSlots", harm: liveness, plan: func(p *plan) { p.giveUp = 500 }},
	{rule: "RetriesAnew", harm: liveness, plan: func(p *plan) { p.sever = 3 * second }},
	{rule: "CancelsWithConnection", harm: liveness, plan: func(p *plan) { p.reset = 2 * second }},
	{rule: "CancelsUnnumbered", slow: true, harm: safety, plan: func(p *plan) {
		p.journal, p.lateProposal, p.lateProposalMost = onDisk, 200, 4*second
		p.reset, p.longWork = second, 500
	}},
	{rule: "AnswersUnknown", harm: liveness, plan: func(p *plan) {
		p.journal, p.lateProposal, p.lateProposalMost = onDisk, 100, 3*second
		p.v1s = 5
	}},
	{rule: "LeaseCountsFromAnswer", harm: safety, plan: lateGrants},
	{rule: "UsesBeforeRenewal", harm: safety, plan: lateGrants},
	{rule: "BornWithoutWall", harm: safety, plan: func(p *plan) { p.memberCrash, p.memberDown = 20*second, second }},
	{rule: "BornWithoutQuiet", harm: safety, plan: func(p *plan) {
		p.memberCrash, p.memberDown = 20*second, second
		p.cutOff, p.cutOffMost = 3*second, 15*second
	}},
	{rule: "NoticesLag", harm: safety, plan: func(p *plan) { p.force, p.longWork = 2*second, 800 }},
}

// farMember is a plan in which the order of commands is elsewhere, and the
// member loses sight of it while its clients still see the member.
func farMember(p *plan) {
	p.journal, p.ttl, p.memberLease = moving, 2*second, 3*second
	p.slowStore, p.slowStoreMost = 50, second
	p.memberCut, p.memberCutMost = 10*second, 10*second
	p.replace, p.replaceMost = 20*second, 12*second
	p.cutOff, p.cutOffMost = 2*second, 6*second
	p.longWork = 500
}

// lateGrants is a plan in which grants with leases arrive late.
func lateGrants(p *plan) {
	p.leased, p.locks, p.longWork = 1000, 2, 500
	p.late, p.lateMost = 100, 3*second
	p.cutOff, p.cutOffMost = 3*second, 15*second
}
