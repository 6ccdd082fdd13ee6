package runbook

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// wish is which mitigations a plan is wanted for.
type wish struct {
	flush, restart, gateway bool
	scope                   Scope
	route                   Route
	// meant says that an override or a broken glass stands behind it: then entries
	// that hold the live keys are deleted as well, and the verdict's advice does
	// not count. glass says that it is the glass, which no verdict stops.
	meant, glass bool
}

// wanted is what a request asks for.
func (t *Target) wanted(req Request) wish {
	w := wish{flush: !req.NoFlush, restart: req.Restart, gateway: req.Gateway, scope: req.Scope, route: t.Route,
		meant: req.Override != "" || req.BreakGlass != "", glass: req.BreakGlass != ""}
	if w.route == "" || req.Direct || w.scope == ScopeAll || t.Bridge == nil {
		w.route = RouteDirect
	}
	return w
}

// wanted is what a run's plan was made for.
func (r Run) wanted() wish {
	return wish{flush: r.Plan.Has(FlushCache), restart: r.Plan.Has(RestartAuthoriser), gateway: r.Plan.Has(FlushGateway),
		scope: r.Plan.Scope, route: r.Plan.route(), meant: r.Override != "" || r.BreakGlass != "", glass: r.BreakGlass != ""}
}

// lay makes a plan and judges it. It is the only way to a plan that people are
// asked to approve, the first one and every one after it: whatever forbids the
// one forbids the others. A refused plan comes back beside its *Refusal, as far
// as it could be made, to be shown.
func (t *Target) lay(ctx context.Context, r Report, w wish) (Plan, error) {
	v := r.Diagnosis.Verdict
	if err := t.mayPlan(r, w); err != nil {
		return t.planFlush(r, w.scope, false), err
	}
	p, err := t.plan(ctx, r, w)
	if err != nil {
		return p, err
	}
	return p, p.judge(v, w)
}

// mayPlan refuses where no plan can be made or carried out, whatever it says.
func (t *Target) mayPlan(r Report, w wish) error {
	v := r.Diagnosis.Verdict
	switch {
	case v.Forbids() && !w.glass:
		return refuse(RefusedUnsafe, "Refused: %s", v.Summary)
	case w.flush && r.Evidence.Cached == nil:
		return refuse(RefusedUnread, "Refused: the cache could not be read, so nobody can say what would be deleted (%s). jwksbot doctor names what is missing.", r.Evidence.Unread[StepCachedKeys])
	}
	return nil
}

// plan resolves mitigations to exactly what they will touch. A flush that has
// nothing to delete is no step of a plan that has others. What cannot be
// planned is a *Refusal.
func (t *Target) plan(ctx context.Context, r Report, w wish) (Plan, error) {
	p := Plan{Target: t.Name, Resource: t.Resource, Steps: []Mitigation{}, Entries: []PlanEntry{}, Live: []string{},
		Verdict: r.Diagnosis.Verdict.ID, Summary: r.Diagnosis.Verdict.Summary}
	if w.flush {
		if f := t.planFlush(r, w.scope, w.meant); len(f.Entries) > 0 || f.NoUndo || !w.restart && !w.gateway {
			p, p.Route = f, w.route
			p.Steps = []Mitigation{FlushCache}
		}
	}
	if w.restart {
		restart, err := t.planRestart(ctx)
		if err != nil {
			return p, err
		}
		p.Restart, p.Steps = &restart, append(p.Steps, RestartAuthoriser)
	}
	if w.gateway {
		gateway, err := t.planGateway(ctx)
		if err != nil {
			return p, err
		}
		p.Gateway, p.Steps = &gateway, append(p.Steps, FlushGateway)
	}
	p.Resource, p.Void = p.first(t), t.void(r.Evidence)
	p.Advice = p.objections(r.Diagnosis.Verdict)
	p.seal()
	return p, nil
}

// void lists the mitigations that have nothing to act on here: no function is
// configured, or the gateway was read and keeps no answer that could be emptied.
func (t *Target) void(ev Evidence) (list []Mitigation) {
	if t.Function == nil {
		list = append(list, RestartAuthoriser)
	}
	known := ev.Gateway != nil && len(ev.Gateway.Problems) == 0
	if f := (&facts{Evidence: ev}); t.API == nil || known && f.resultTTL() == 0 {
		list = append(list, FlushGateway)
	}
	return list
}

// first is the resource of the plan's first step.
func (p Plan) first(t *Target) string {
	switch {
	case p.Has(FlushCache) || p.Has(RestoreCache):
		return t.Resource
	case p.Restart != nil:
		return functionResource(p.Restart.Function)
	case p.Gateway != nil:
		return p.Gateway.resource()
	}
	return t.Resource
}

// objections are what the verdict says against the steps. The steps after a
// flush that it calls for are the runbook's own next ones: what stands against
// them alone (a restarted authoriser would read the old entry again) does not
// hold after the flush.
func (p Plan) objections(v Verdict) string {
	if p.Has(FlushCache) && v.Advises(FlushCache) {
		return ""
	}
	var all []string
	for _, m := range p.Steps {
		switch why := v.Objection(m); {
		case why == "":
		case len(p.Steps) == 1:
			all = append(all, why)
		default:
			all = append(all, string(m)+": "+why)
		}
	}
	return strings.Join(all, "; ")
}

// planFlush resolves a flush to exactly what it will delete, from a report.
// Entries that hold the live keys already are left alone unless all are asked
// for, since deleting them changes nothing; entries of other issuers always are.
func (t *Target) planFlush(r Report, scope Scope, all bool) Plan {
	f := gather(r.Evidence)
	p := Plan{Target: t.Name, Resource: t.Resource, Scope: scope, Live: list(f.live.Thumbprints()), Entries: []PlanEntry{},
		Verdict: r.Diagnosis.Verdict.ID, Summary: r.Diagnosis.Verdict.Summary}
	if f.Cached == nil {
		return p
	}
	p.Others, p.Shards = f.Cached.Others, len(f.Cached.Shards)
	p.Truncated = f.Cached.Truncated
	p.NoUndo = p.Truncated || scope == ScopeAll
	p.Entries = make([]PlanEntry, 0, len(f.Cached.Entries))
	p.Patterns, p.Matching = t.Patterns, f.Cached.Matched
	var plans entryPlans
	for _, e := range f.Cached.Entries {
		switch {
		case e.Foreign != "":
			p.Foreign++
		case f.current(e) && !all && scope == ScopeKeys:
			p.Current++
			p.Untouched = append(p.Untouched, EntryName(e.Name))
		default:
			p.Entries = append(p.Entries, plans.entry(e))
		}
	}
	return p
}

// planRestart binds a restart to the function as the gateway invokes it now.
func (t *Target) planRestart(ctx context.Context) (RestartPlan, error) {
	if t.Function == nil {
		return RestartPlan{}, refuse(RefusedSteps, "Target %s has no function to restart: set authoriser.function.", t.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, stepDeadline)
	defer cancel()
	ev, err := t.inspect(ctx)
	if err != nil {
		return RestartPlan{}, unread("The authoriser's function cannot be read, so nobody can say what a restart would do", err)
	}
	if ev.Refusal != "" || ev.Mode == RestartNone {
		return RestartPlan{}, refuse(RefusedRestart, "The authoriser cannot be restarted: %s.", strings.TrimSuffix(ev.Refusal, "."))
	}
	return RestartPlan{Function: ev.Function, Qualifier: ev.Qualifier, Version: ev.Version, Mode: ev.Mode, Revision: ev.Revision,
		AliasRevision: ev.AliasRevision, CodeSHA: ev.CodeSHA, Provisioned: ev.Provisioned}, nil
}

// unread turns an error of reading into a refusal that says so; a refusal stays
// what it is.
func unread(what string, err error) error {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return refusal
	}
	return refuse(RefusedUnread, "%s: %s. Nothing was touched; try again.", what, err)
}

// inspect reads the function as the gateway invokes it. A mitigation never
// starts half-known: where the check goes on without the gateway, this does not.
func (t *Target) inspect(ctx context.Context) (*FunctionEvidence, error) {
	setup := &setupOnce{api: t.API}
	if t.API != nil {
		if _, err := setup.get(ctx); err != nil {
			return nil, fmt.Errorf("what the gateway invokes: %w", err)
		}
	}
	result, err := authoriserState{t, setup}.Run(ctx, Question{})
	if err != nil {
		return nil, err
	}
	return result.Evidence.Function, nil
}

// planGateway finds the result cache that can be emptied.
func (t *Target) planGateway(ctx context.Context) (GatewayPlan, error) {
	if t.API == nil {
		return GatewayPlan{}, refuse(RefusedSteps, "Target %s has no gateway whose cache could be emptied: set gateway.rest_api or gateway.http_api.", t.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, stepDeadline)
	defer cancel()
	setup, err := t.API.Setup(ctx)
	if err != nil {
		return GatewayPlan{}, unread("The gateway's authorisers cannot be read", err)
	}
	p := GatewayPlan{Kind: setup.Kind, API: setup.ID, Stage: setup.Stage, Authorisers: []string{}}
	managed, lambdas, kept := "", 0, time.Duration(0)
	for _, a := range setup.Authorisers {
		switch {
		case a.managed():
			managed, kept = a.label(), max(kept, a.keysKept())
		case a.Kind == LambdaAuthoriser:
			lambdas++
			if a.ResultTTL > 0 {
				p.Authorisers, p.TTL = append(p.Authorisers, a.label()), max(p.TTL, a.ResultTTL)
			}
		}
	}
	switch {
	case len(p.Authorisers) > 0:
		return p, nil
	case kept > 0:
		return p, refuse(RefusedManaged, "The gateway validates tokens itself (authoriser %q): it keeps its own copy of the keys, which nobody can evict. Wait: it takes up to %s.", managed, Duration(kept))
	case lambdas > 0:
		return p, refuse(RefusedNothing, "There is nothing to empty: the gateway keeps no results of its authoriser (result TTL 0), so every request asks it anew.")
	}
	return p, refuse(RefusedNothing, "There is nothing to empty: stage %q of API %s has no Lambda authoriser.", setup.Stage, setup.ID)
}

// current says that the entry holds live keys only, and all of them if it is a
// whole key set.
func (f *facts) current(e Entry) bool {
	if !f.liveOK {
		return false
	}
	switch e.Reading.Content {
	case ContentKeys:
		c := f.differs(&e)
		if e.Reading.perKid() {
			return len(c.retired)+len(c.rekeyed)+len(c.renamed) == 0
		}
		return c.same()
	case ContentNegative:
		return !f.inLive(e.Reading.Kid)
	case ContentUnknown:
		// Nobody knows what it is; only an override touches it.
		return true
	}
	return false
}

// entryPlans makes the lines of a plan. Entries that say the same share what is
// said of their keys.
type entryPlans struct{ known memo[keyList, PlanEntry] }

func (l *entryPlans) entry(e Entry) PlanEntry {
	p := l.known.remember(e.Reading.Set.list(), func() PlanEntry { return planKeys(e.Reading.Set) })
	p.Name, p.Shard, p.Format = EntryName(e.Name), e.Shard, e.Reading.Format
	if e.Reading.Content != ContentKeys {
		p.Meaning = e.meaning()
	}
	return p
}

func planKeys(s KeySet) PlanEntry {
	p := PlanEntry{Kids: []string{}, Thumbprints: []string{}, Meaning: s.meaning()}
	for _, k := range s.Keys {
		p.Kids = append(p.Kids, k.Kid)
		p.Thumbprints = append(p.Thumbprints, k.Thumbprint)
	}
	return p
}
