package runbook

import (
	"fmt"
	"strings"
	"time"
)

// Kind says what somebody is to the workspace.
type Kind string

// Kinds of people. Only members may do anything.
const (
	KindMember   Kind = "member"   // a full member of the bot's own workspace
	KindGuest    Kind = "guest"    // restricted to some channels
	KindStranger Kind = "stranger" // of another workspace, through a shared channel
	KindBot      Kind = "bot"      // an app or workflow
	KindGone     Kind = "gone"     // deactivated
	KindUnknown  Kind = "unknown"  // the directory does not know the id
)

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

// Limits of the approval rules.
const (
	DefaultExpiry   = 15 * time.Minute
	DefaultCooldown = 5 * time.Minute
	startWithin     = 10 * time.Minute // an approved plan that has not started by then expires
)

// IsGroup says whether an id of a policy names a user group.
func IsGroup(id string) bool { return strings.HasPrefix(id, "S") }

// Refusal is a "no" to the person who asked: Text is a whole sentence for
// them, Code is for records and tests, People are ids of users and groups who
// could do what was refused.
type Refusal struct {
	Code   string
	Text   string
	People []string
}

// Error is the sentence for the person who was refused.
func (r *Refusal) Error() string { return r.Text }

func refuse(code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Text: fmt.Sprintf(format, args...)}
}

// Codes of refusals.
const (
	RefusedKind        = "not_a_member"
	RefusedRight       = "not_allowed"
	RefusedTarget      = "unknown_target"
	RefusedTicket      = "bad_ticket"
	RefusedReason      = "no_reason"
	RefusedScope       = "bad_scope"
	RefusedOwn         = "own_request"
	RefusedTwice       = "already_decided"
	RefusedEnded       = "run_ended"
	RefusedUnknownRun  = "unknown_run"
	RefusedBusy        = "busy"
	RefusedCooldown    = "cooldown"
	RefusedUnsafe      = "unsafe"
	RefusedOverride    = "override_needed"
	RefusedNothing     = "nothing_to_do"
	RefusedChanged     = "world_changed"
	RefusedPlan        = "other_plan" // the decision was about another plan than the present one
	RefusedUnsatisfied = "too_few_approvers"
	RefusedUnread      = "could_not_read"
	RefusedBreakGlass  = "no_break_glass"
	RefusedManaged     = "managed_authoriser" // the gateway validates tokens itself: nothing can be flushed
	RefusedRestart     = "no_restart"         // the function cannot be restarted as it stands
	RefusedGone        = "snapshot_gone"
	RefusedSteps       = "bad_steps"         // the mitigations that were asked for do not go together
	RefusedLimited     = "slack_limits"      // Slack was asked about rights and asks for patience
	RefusedUnheard     = "slack_silent"      // Slack cannot be asked about rights
	RefusedLocal       = "not_on_a_terminal" // only serve may find out who somebody is
)

// admit refuses everybody who is no full member.
func admit(p Person) error {
	switch p.Kind {
	case KindMember:
		return nil
	case KindGuest:
		return refuse(RefusedKind, "Guests cannot use jwksbot. Ask a full member of this workspace.")
	case KindStranger:
		return refuse(RefusedKind, "People of other workspaces cannot use jwksbot here. Ask a member of the workspace that owns it.")
	case KindBot:
		return refuse(RefusedKind, "Bots and workflows cannot use jwksbot: a person has to.")
	case KindGone:
		return refuse(RefusedKind, "This Slack account is deactivated, so jwksbot does not act for it.")
	}
	return refuse(RefusedKind, "jwksbot does not know this account, so it cannot act for it.")
}
