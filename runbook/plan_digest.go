package runbook

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"sort"
	"strings"
)

// seal computes the digest: it covers what a plan means (steps, scope, route,
// live thumbprints, name and meaning of every entry, the function's version,
// revision and code, the gateway's stage, what would be written back). TTLs and
// other owners' counts are left out, so that it settles on a busy cache; so are
// the entries of a plan that lists only some of them.
func (p *Plan) seal() {
	sort.Slice(p.Entries, func(i, j int) bool { return p.Entries[i].Name < p.Entries[j].Name })
	h := sha256.New()
	fmt.Fprintf(h, "jwksbot plan 2\n%q %q %q\n", p.Target, p.Resource, p.Steps)
	if p.Has(FlushCache) {
		p.writeFlush(h)
	}
	if r := p.Restart; r != nil {
		fmt.Fprintf(h, "restart %q\n", r.terms())
	}
	if g := p.Gateway; g != nil {
		fmt.Fprintf(h, "gateway %q %q %q\n", g.Kind, g.API, g.Stage)
	}
	if r := p.Restore; r != nil {
		r.write(h)
	}
	p.Digest = hex.EncodeToString(h.Sum(nil))
}

func (p *Plan) writeFlush(h io.Writer) {
	fmt.Fprintf(h, "flush %q %q %t\n", p.Scope, p.Route, p.NoUndo)
	for _, t := range p.Live {
		fmt.Fprintf(h, "live %q\n", t)
	}
	if p.Truncated {
		return
	}
	for _, e := range p.Entries {
		fmt.Fprintf(h, "entry %q %q\n", e.Name, e.Meaning)
	}
}

// terms are what a restart is bound to.
func (r RestartPlan) terms() []string {
	return []string{r.Function, r.Qualifier, r.Version, string(r.Mode), r.Revision, r.AliasRevision, r.CodeSHA}
}

func (r RestorePlan) write(h io.Writer) {
	fmt.Fprintf(h, "restore %q %t\n", r.Of, r.Force)
	for _, e := range r.Entries {
		fmt.Fprintf(h, "saved %q %q\n", e.Name, e.Saved)
	}
	if r.MoveBack != nil {
		fmt.Fprintf(h, "back %q %q %q\n", r.MoveBack.Function, r.MoveBack.Qualifier, r.MoveBack.Version)
	}
}

// Drift is how the world stands to an approved plan.
type Drift string

// Drifts between an approved plan and the world.
const (
	DriftNone    Drift = "none"    // the plan still says what will happen (entries may have gone)
	DriftHealed  Drift = "healed"  // nothing of the plan is left to do
	DriftChanged Drift = "changed" // something would be touched that nobody approved, or the live keys moved
)

// Compare holds an approved plan against one made from the world as it is now.
// Entries that have gone or hold the live keys meanwhile change nothing; a
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
		// Whatever else moved: there is nothing that anybody could approve.
		return DriftHealed, "every planned entry is gone or was rewritten meanwhile"
	}
	if strings.Join(p.Live, " ") != strings.Join(now.Live, " ") {
		return DriftChanged, "the live keys changed"
	}
	if p.NoUndo {
		return DriftNone, "" // whatever matches is meant
	}
	if now.NoUndo {
		return DriftChanged, "there are more entries now than can be copied"
	}
	approved := p.meanings()
	for _, e := range now.Entries {
		meaning, known := approved[e.Name]
		switch {
		case !known:
			return DriftChanged, fmt.Sprintf("entry %q was not part of the plan", e.Name)
		case meaning != e.Meaning:
			return DriftChanged, fmt.Sprintf("entry %q holds other keys than before", e.Name)
		}
	}
	return DriftNone, ""
}

// route is the way of the flush; a plan of an older version names none.
func (p Plan) route() Route {
	if p.Route == "" {
		return RouteDirect
	}
	return p.Route
}

// flushHealed says that nothing of the flush is left to do. A flush of the whole
// group is over with the last entry that was a reason for it.
func (p Plan) flushHealed(now Plan) bool {
	if len(now.Entries) == 0 {
		return p.Scope != ScopeAll || len(p.Entries) > 0
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

func (p Plan) meanings() map[string]string {
	out := make(map[string]string, len(p.Entries))
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
	saved := map[string]string{}
	for _, e := range r.Entries {
		saved[e.Name] = e.Saved
	}
	for _, e := range now.Entries {
		if saved[e.Name] != e.Saved {
			return DriftChanged, fmt.Sprintf("the copy of entry %q is another one", e.Name)
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
