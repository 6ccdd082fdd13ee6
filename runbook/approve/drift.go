package approve

import (
	"fmt"
	"strings"

	"jwksbot/runbook"
)

// Drift is how the world stands to an approved plan.
type Drift string

// Drifts between an approved plan and the world.
const (
	DriftNone    Drift = "none"    // the plan still says what will happen (entries may have gone)
	DriftHealed  Drift = "healed"  // nothing of the plan is left to do
	DriftChanged Drift = "changed" // people have to look again
)

// Compare holds an approved plan against one made from the world as it is now.
// Entries that have gone or hold the live keys meanwhile change nothing, and so
// do entries that came after a listed plan: it touches only what it lists. A
// flush of which nothing is left to do does not stop the steps after it.
func Compare(p runbook.Plan, now runbook.Plan) (Drift, string) {
	if p.Restore != nil {
		return compare(*p.Restore, now.Restore)
	}
	if why := otherSteps(p, now); why != "" {
		return DriftChanged, why
	}
	if !p.Has(runbook.FlushCache) {
		return DriftNone, ""
	}
	drift, why := compareFlush(p, now)
	if drift == DriftHealed && (p.Restart != nil || p.Gateway != nil) {
		return DriftNone, ""
	}
	return drift, why
}

// otherSteps says what is different about the steps after the flush.
func otherSteps(p runbook.Plan, now runbook.Plan) string {
	switch {
	case (p.Restart == nil) != (now.Restart == nil), (p.Gateway == nil) != (now.Gateway == nil), now.Restore != nil:
		return "the steps are different"
	case p.Restart != nil && strings.Join(terms(*p.Restart), "\n") != strings.Join(terms(*now.Restart), "\n"):
		return changed(*p.Restart, *now.Restart)
	case p.Gateway != nil && p.Gateway.Resource() != now.Gateway.Resource():
		return "the gateway's stage is different"
	}
	return ""
}

// changed says how a function is different from the one that was approved.
func changed(r runbook.RestartPlan, now runbook.RestartPlan) string {
	switch {
	case r.Function != now.Function || r.Qualifier != now.Qualifier:
		return fmt.Sprintf("the gateway invokes %s now, not %s", now.Invoked(), r.Invoked())
	case r.CodeSHA != now.CodeSHA:
		return fmt.Sprintf("function %s was redeployed", r.Function)
	case r.Version != now.Version:
		return fmt.Sprintf("%s is version %s now, not %s", r.Invoked(), now.Version, r.Version)
	}
	return fmt.Sprintf("the configuration of function %s was changed", r.Function)
}

func compareFlush(p runbook.Plan, now runbook.Plan) (Drift, string) {
	if now.Has(runbook.FlushCache) && (p.Scope != now.Scope || route(p) != route(now)) {
		return DriftChanged, "the scope or the route of the flush is different"
	}
	if flushHealed(p, now) {
		// Whatever else changed: there is nothing that anybody could approve.
		return DriftHealed, "every planned entry is gone or was rewritten in the meantime"
	}
	if strings.Join(p.Live, " ") != strings.Join(now.Live, " ") {
		return DriftChanged, "the live keys changed"
	}
	if p.ByName() {
		return CompareByName(p, now)
	}
	return compareListed(p, now)
}

// compareListed looks at the entries that the plan lists, and at no others.
func compareListed(p runbook.Plan, now runbook.Plan) (Drift, string) {
	approved, left := p.Meanings(), 0
	for _, e := range now.Entries {
		switch meaning, listed := approved[e.Name]; {
		case !listed:
		case meaning != e.Meaning:
			return DriftChanged, fmt.Sprintf("entry %s holds other keys than before", runbook.QuoteName(e.Name))
		default:
			left++
		}
	}
	if others := unlisted(p, now); left == 0 {
		return DriftChanged, fmt.Sprintf("the entries of the plan are gone or were rewritten, and %s %s: %s",
			runbook.Plural(len(others), "other entry", "other entries"), runbook.Verb(len(others), "holds old keys", "hold old keys"), runbook.QuoteNames(others))
	}
	return DriftNone, ""
}

// unlisted are the entries that a new plan would delete and that a listed one
// does not name. A plan by name means them.
func unlisted(p runbook.Plan, now runbook.Plan) []runbook.EntryName {
	if !p.Has(runbook.FlushCache) || p.ByName() {
		return nil
	}
	var out []runbook.EntryName
	approved := p.Meanings()
	for _, e := range now.Entries {
		if _, listed := approved[e.Name]; !listed {
			out = append(out, e.Name)
		}
	}
	return out
}

// CompareByName lets a flush by name reach what was shown: those patterns, no
// entry of another issuer more than then, and about as many keys.
func CompareByName(p runbook.Plan, now runbook.Plan) (Drift, string) {
	switch {
	case strings.Join(p.Patterns, "\n") != strings.Join(now.Patterns, "\n"):
		return DriftChanged, "cache.keys names other patterns now"
	case now.Foreign > p.Foreign:
		return DriftChanged, fmt.Sprintf("%s now %s to another issuer", runbook.Plural(now.Foreign, "entry", "entries"), runbook.Verb(now.Foreign, "belongs", "belong"))
	case grown(p.Reach(), now.Reach()):
		return DriftChanged, fmt.Sprintf("it would delete %s now, not %s", runbook.Plural(int(now.Reach()), "key", "keys"), runbook.Thousands(p.Reach()))
	}
	return DriftNone, ""
}

// grown says that a flush by name would delete noticeably more keys than was
// shown: a busy cache is never the same twice.
func grown(was, now int64) bool { return now-was >= 100 && (now-was)*10 > was }

// route is the way of the flush; a plan of an older version names none.
func route(p runbook.Plan) runbook.Route {
	if p.Route == "" {
		return runbook.RouteDirect
	}
	return p.Route
}

// flushHealed says that nothing of the flush is left to do. A flush of the whole
// group is over with the last entry that was a reason for it. Where not every
// entry could be read, nobody knows.
func flushHealed(p runbook.Plan, now runbook.Plan) bool {
	if len(now.Entries) == 0 {
		return (p.Scope != runbook.ScopeAll || len(p.Entries) > 0) && !(p.ByName() && now.Truncated)
	}
	if p.Scope != runbook.ScopeAll || len(p.Entries) == 0 {
		return false
	}
	approved := p.Meanings()
	for _, e := range now.Entries {
		if approved[e.Name] == e.Meaning {
			return false
		}
	}
	return true
}

// compare holds an undo against the cache as it is now.
func compare(r runbook.RestorePlan, now *runbook.RestorePlan) (Drift, string) {
	switch {
	case now == nil || r.Of != now.Of || r.Force != now.Force:
		return DriftChanged, "it undoes another run"
	case now.Writes() == 0 && now.MoveBack == nil:
		return DriftHealed, "every entry is back, rewritten or expired in the meantime"
	case (r.MoveBack == nil) != (now.MoveBack == nil):
		return DriftChanged, "the function is different"
	}
	shown := map[runbook.EntryName]runbook.RestoreEntry{}
	for _, e := range r.Entries {
		shown[e.Name] = e
	}
	for _, e := range now.Entries {
		switch was := shown[e.Name]; {
		case was.Saved != e.Saved:
			return DriftChanged, fmt.Sprintf("the copy of entry %s is different", runbook.QuoteName(e.Name))
		case r.Force && e.Fate == runbook.FateRewritten && was.Fate != runbook.FateRewritten:
			return DriftChanged, fmt.Sprintf("entry %s was rewritten and would be overwritten", runbook.QuoteName(e.Name))
		}
	}
	return DriftNone, ""
}
