package approve

import (
	"strings"
	"time"

	"jwksbot/runbook"
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

// Codes of refusals.
const (
	RefusedRight       = "not_allowed"
	RefusedTarget      = "unknown_target"
	RefusedTicket      = "bad_ticket"
	RefusedReason      = "no_reason"
	RefusedScope       = "bad_scope"
	RefusedOwn         = "own_request"
	RefusedTwice       = "already_decided"
	RefusedEnded       = "run_ended"
	RefusedUnknownRun  = "unknown_run"
	RefusedCooldown    = "cooldown"
	RefusedOverride    = "override_needed"
	RefusedPlan        = "other_plan" // the decision was about another plan than the present one
	RefusedUnsatisfied = "too_few_approvers"
	RefusedBreakGlass  = "no_break_glass"
	RefusedManaged     = "managed_authoriser" // the gateway validates tokens itself: nothing can be flushed
	RefusedGone        = "snapshot_gone"
	RefusedSteps       = "bad_steps"         // the mitigations that were asked for do not go together
	RefusedLimited     = "slack_limits"      // Slack was asked about rights and asks for patience
	RefusedUnheard     = "slack_silent"      // Slack cannot be asked about rights
	RefusedLocal       = "not_on_a_terminal" // only serve may find out who somebody is
)

// Limits of the approval rules.
const (
	DefaultExpiry   = 15 * time.Minute
	DefaultCooldown = 5 * time.Minute
	startWithin     = 10 * time.Minute // an approved plan that has not started by then expires
)

// admit refuses everybody who is no full member.
func admit(p Person) error {
	switch p.Kind {
	case KindMember:
		return nil
	case KindGuest:
		return runbook.Refuse(runbook.RefusedKind, "Guests cannot use jwksbot. Ask a full member of this workspace.")
	case KindStranger:
		return runbook.Refuse(runbook.RefusedKind, "People of other workspaces cannot use jwksbot here. Ask a member of the workspace that owns it.")
	case KindBot:
		return runbook.Refuse(runbook.RefusedKind, "Bots and workflows cannot use jwksbot: a person has to.")
	case KindGone:
		return runbook.Refuse(runbook.RefusedKind, "This Slack account is deactivated, so jwksbot does not act for it.")
	}
	return runbook.Refuse(runbook.RefusedKind, "jwksbot does not know this account, so it cannot act for it.")
}

// IsGroup says whether an id of a policy names a user group.
func IsGroup(id string) bool { return strings.HasPrefix(id, "S") }
