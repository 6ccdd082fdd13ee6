package runbook

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Kind says what somebody is to the workspace.
type Kind string

// Kinds of people. Only members may do anything.
const (
	KindMember   Kind = "member"   // a full member of the bot's own workspace, or a mapped identity
	KindGuest    Kind = "guest"    // restricted to some channels
	KindStranger Kind = "stranger" // of another workspace, through a shared channel
	KindBot      Kind = "bot"      // an app or workflow
	KindGone     Kind = "gone"     // deactivated
	KindUnknown  Kind = "unknown"  // the directory does not know the id
)

// Person is somebody who acts, as the directory knows them.
type Person struct {
	PersonRef
	Kind Kind
}

// Directory knows people and groups. Groups may be cached, except when fresh
// is asked for.
type Directory interface {
	Person(ctx context.Context, id string) (Person, error)
	Members(ctx context.Context, group string, fresh bool) ([]string, error)
}

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
	RefusedUnsatisfied = "too_few_approvers"
	RefusedUnread      = "could_not_read"
	RefusedBreakGlass  = "no_break_glass"
	RefusedManaged     = "managed_authoriser" // the gateway validates tokens itself: nothing can be flushed
	RefusedRestart     = "no_restart"         // the function cannot be restarted as it stands
	RefusedGone        = "snapshot_gone"
	RefusedSteps       = "bad_steps" // the mitigations that were asked for do not go together
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
	}
	return refuse(RefusedKind, "jwksbot does not know this account, so it cannot act for it.")
}

// listed says whether the person is on a list, by id or as a member of a
// listed group.
func listed(ctx context.Context, dir Directory, id string, list []string, fresh bool) (bool, error) {
	for _, entry := range list {
		if entry == id {
			return true, nil
		}
	}
	for _, entry := range list {
		if !IsGroup(entry) {
			continue
		}
		members, err := dir.Members(ctx, entry, fresh)
		if err != nil {
			return false, fmt.Errorf("members of user group %q: %w", entry, err)
		}
		for _, m := range members {
			if m == id {
				return true, nil
			}
		}
	}
	return false, nil
}

// possible counts the different people on a list who could be members, without
// the one who is left out.
func possible(ctx context.Context, dir Directory, list []string, without string) (int, error) {
	people := map[string]bool{}
	for _, entry := range list {
		if !IsGroup(entry) {
			people[entry] = true
			continue
		}
		members, err := dir.Members(ctx, entry, false)
		if err != nil {
			return 0, fmt.Errorf("members of user group %q: %w", entry, err)
		}
		for _, m := range members {
			people[m] = true
		}
	}
	delete(people, without)
	return len(people), nil
}
