package runbook

import "time"

// Policy says who may do what on a target, and under which rules. An empty
// list means nobody, except Viewers, where it means every full member.
type Policy struct {
	Viewers      []string // user ids (U…, W…) and user group ids (S…)
	Requesters   []string
	Approvers    []string
	Required     int // approvals by different people
	SelfApproval bool
	Expires      time.Duration // how long a request waits for decisions
	Cooldown     time.Duration // after a flush of the same resource
	BreakGlass   bool          // a requester may act alone with a reason, loudly recorded
	// ServeOnly says that nobody but `jwksbot serve` may find out who asks and
	// who approves: not the process of a terminal.
	ServeOnly bool
}
