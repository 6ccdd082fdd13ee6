package runbook

import (
	"fmt"
	"strings"
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
func (p Plan) Compare(now Plan) (Drift, string) {
	if p.Restore != nil {
		return p.Restore.compare(now.Restore)
	}
	if why := p.otherSteps(now); why != "" {
		return DriftChanged, why
	}
	if !p.Has(FlushCache) {
		return DriftNone, ""
	}
	drift, why := p.compareFlush(now)
	if drift == DriftHealed && (p.Restart != nil || p.Gateway != nil) {
		return DriftNone, ""
	}
	return drift, why
}

// otherSteps says what is different about the steps after the flush.
func (p Plan) otherSteps(now Plan) string {
	switch {
	case (p.Restart == nil) != (now.Restart == nil), (p.Gateway == nil) != (now.Gateway == nil), now.Restore != nil:
		return "the steps are others"
	case p.Restart != nil && strings.Join(p.Restart.terms(), "\n") != strings.Join(now.Restart.terms(), "\n"):
		return p.Restart.changed(*now.Restart)
	case p.Gateway != nil && p.Gateway.resource() != now.Gateway.resource():
		return "the gateway's stage is another one"
	}
	return ""
}

// changed says how a function is different from the one that was approved.
func (r RestartPlan) changed(now RestartPlan) string {
	switch {
	case r.Function != now.Function || r.Qualifier != now.Qualifier:
		return fmt.Sprintf("the gateway invokes %s now, not %s", now.invoked(), r.invoked())
	case r.CodeSHA != now.CodeSHA:
		return fmt.Sprintf("the code of function %s was deployed anew", r.Function)
	case r.Version != now.Version:
		return fmt.Sprintf("%s is version %s now, not %s", r.invoked(), now.Version, r.Version)
	}
	return fmt.Sprintf("the configuration of function %s was changed", r.Function)
}

// invoked is how the gateway names the function.
func (r RestartPlan) invoked() string {
	if r.Qualifier == "" {
		return r.Function
	}
	return r.Function + ":" + r.Qualifier
}

func (p Plan) compareFlush(now Plan) (Drift, string) {
	if now.Has(FlushCache) && (p.Scope != now.Scope || p.route() != now.route()) {
		return DriftChanged, "the scope or the way of the flush is another one"
	}
	if p.flushHealed(now) {
		// Whatever else changed: there is nothing that anybody could approve.
		return DriftHealed, "every planned entry is gone or was rewritten meanwhile"
	}
	if strings.Join(p.Live, " ") != strings.Join(now.Live, " ") {
		return DriftChanged, "the live keys changed"
	}
	if p.byName() {
		return p.compareByName(now)
	}
	return p.compareListed(now)
}

// compareListed looks at the entries that the plan lists, and at no others.
func (p Plan) compareListed(now Plan) (Drift, string) {
	approved, left := p.meanings(), 0
	for _, e := range now.Entries {
		switch meaning, listed := approved[e.Name]; {
		case !listed:
		case meaning != e.Meaning:
			return DriftChanged, fmt.Sprintf("entry %s holds other keys than before", quoteName(e.Name))
		default:
			left++
		}
	}
	if others := p.unlisted(now); left == 0 {
		return DriftChanged, fmt.Sprintf("the entries of the plan are gone or were rewritten, and %s %s: %s",
			plural(len(others), "other entry", "other entries"), verb(len(others), "holds old keys", "hold old keys"), quoteNames(others))
	}
	return DriftNone, ""
}

// unlisted are the entries that a new plan would delete and that a listed one
// does not name. A plan by name means them.
func (p Plan) unlisted(now Plan) []EntryName {
	if !p.Has(FlushCache) || p.byName() {
		return nil
	}
	var out []EntryName
	approved := p.meanings()
	for _, e := range now.Entries {
		if _, listed := approved[e.Name]; !listed {
			out = append(out, e.Name)
		}
	}
	return out
}

// compareByName lets a flush by name reach what was shown: those patterns, no
// entry of another issuer more than then, and about as many keys.
func (p Plan) compareByName(now Plan) (Drift, string) {
	switch {
	case strings.Join(p.Patterns, "\n") != strings.Join(now.Patterns, "\n"):
		return DriftChanged, "cache.keys names other patterns now"
	case now.Foreign > p.Foreign:
		return DriftChanged, fmt.Sprintf("%s now %s to another issuer", plural(now.Foreign, "entry", "entries"), verb(now.Foreign, "belongs", "belong"))
	case grown(p.reach(), now.reach()):
		return DriftChanged, fmt.Sprintf("it would delete %s now, not %s", plural(int(now.reach()), "key", "keys"), Thousands(p.reach()))
	}
	return DriftNone, ""
}

// grown says that a flush by name would delete noticeably more keys than was
// shown: a busy cache is never the same twice.
func grown(was, now int64) bool { return now-was >= 100 && (now-was)*10 > was }

// route is the way of the flush; a plan of an older version names none.
func (p Plan) route() Route {
	if p.Route == "" {
		return RouteDirect
	}
	return p.Route
}

// flushHealed says that nothing of the flush is left to do. A flush of the whole
// group is over with the last entry that was a reason for it. Where not every
// entry could be read, nobody knows.
func (p Plan) flushHealed(now Plan) bool {
	if len(now.Entries) == 0 {
		return (p.Scope != ScopeAll || len(p.Entries) > 0) && !(p.byName() && now.Truncated)
	}
	if p.Scope != ScopeAll || len(p.Entries) == 0 {
		return false
	}
	approved := p.meanings()
	for _, e := range now.Entries {
		if approved[e.Name] == e.Meaning {
			return false
		}
	}
	return true
}

// meanings tells what each listed entry meant.
func (p Plan) meanings() map[EntryName]string {
	out := make(map[EntryName]string, len(p.Entries))
	for _, e := range p.Entries {
		out[e.Name] = e.Meaning
	}
	return out
}

// compare holds an undo against the cache as it is now.
func (r RestorePlan) compare(now *RestorePlan) (Drift, string) {
	switch {
	case now == nil || r.Of != now.Of || r.Force != now.Force:
		return DriftChanged, "it is another undo"
	case now.writes() == 0 && now.MoveBack == nil:
		return DriftHealed, "every entry is back, rewritten or expired meanwhile"
	case (r.MoveBack == nil) != (now.MoveBack == nil):
		return DriftChanged, "the function is another one"
	}
	shown := map[EntryName]RestoreEntry{}
	for _, e := range r.Entries {
		shown[e.Name] = e
	}
	for _, e := range now.Entries {
		switch was := shown[e.Name]; {
		case was.Saved != e.Saved:
			return DriftChanged, fmt.Sprintf("the copy of entry %s is another one", quoteName(e.Name))
		case r.Force && e.Fate == FateRewritten && was.Fate != FateRewritten:
			return DriftChanged, fmt.Sprintf("entry %s was written anew and would be overwritten", quoteName(e.Name))
		}
	}
	return DriftNone, ""
}

// writes counts the entries that would be written.
func (r RestorePlan) writes() int {
	n := 0
	for _, e := range r.Entries {
		if e.Fate == FateGone || e.Fate == FateRewritten && r.Force {
			n++
		}
	}
	return n
}
