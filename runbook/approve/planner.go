package approve

import (
	"context"
	"errors"
	"strings"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/check"
	"jwksbot/runbook/diagnose"
)

// Intent is which mitigations a plan is wanted for.
type Intent struct {
	flush, restart, gateway bool
	scope                   runbook.Scope
	route                   runbook.Route
	// meant says that an override or a broken glass stands behind it: then entries
	// that hold the live keys are deleted as well, and the verdict's advice does
	// not count. glass says that it is the glass, which no verdict stops.
	Meant, glass bool
}

// requestIntent is what a request asks for.
func requestIntent(t *check.Target, req Request) Intent {
	w := Intent{flush: !req.NoFlush, restart: req.Restart, gateway: req.Gateway, scope: req.Scope, route: t.Route,
		Meant: req.Override != "" || req.BreakGlass != "", glass: req.BreakGlass != ""}
	if w.route == "" || req.Direct || w.scope == runbook.ScopeAll || t.Bridge == nil {
		w.route = runbook.RouteDirect
	}
	return w
}

// IntentOf is what a run's plan was made for.
func IntentOf(r runbook.Run) Intent {
	return Intent{flush: r.Plan.Has(runbook.FlushCache), restart: r.Plan.Has(runbook.RestartAuthoriser), gateway: r.Plan.Has(runbook.FlushGateway),
		scope: r.Plan.Scope, route: route(r.Plan), Meant: r.Override != "" || r.BreakGlass != "", glass: r.BreakGlass != ""}
}

// lay makes a plan and judges it. It is the only way to a plan that people are
// asked to approve, the first one and every one after it: whatever forbids the
// one forbids the others. A refused plan comes back beside its *Refusal, as far
// as it could be made, to be shown.
func lay(ctx context.Context, t *check.Target, r check.Report, w Intent) (runbook.Plan, error) {
	v := r.Diagnosis.Verdict
	if err := mayPlan(t, r, w); err != nil {
		return PlanFlush(t, r, w.scope, false), err
	}
	p, err := plan(ctx, t, r, w)
	if err != nil {
		return p, err
	}
	return p, judge(p, v, w)
}

// mayPlan refuses where no plan can be made or carried out, whatever it says.
func mayPlan(t *check.Target, r check.Report, w Intent) error {
	v := r.Diagnosis.Verdict
	switch {
	case diagnose.Forbids(v) && !w.glass:
		return runbook.Refuse(runbook.RefusedUnsafe, "Refused: %s", v.Summary)
	case w.flush && r.Evidence.Cached == nil:
		return runbook.Refuse(runbook.RefusedUnread, "Refused: the cache could not be read, so nobody can say what would be deleted (%s). jwksbot doctor names what is missing.", r.Evidence.Unread[runbook.StepCachedKeys])
	}
	return nil
}

// plan resolves mitigations to exactly what they will touch. A flush that has
// nothing to delete is no step of a plan that has others. What cannot be
// planned is a *Refusal.
func plan(ctx context.Context, t *check.Target, r check.Report, w Intent) (runbook.Plan, error) {
	p := runbook.Plan{Target: t.Name, Resource: t.Resource, Steps: []runbook.Mitigation{}, Entries: []runbook.PlanEntry{}, Live: []string{},
		Verdict: r.Diagnosis.Verdict.ID, Summary: r.Diagnosis.Verdict.Summary}
	if w.flush {
		if f := PlanFlush(t, r, w.scope, w.Meant); len(f.Entries) > 0 || f.NoUndo || !w.restart && !w.gateway {
			p, p.Route = f, w.route
			p.Steps = []runbook.Mitigation{runbook.FlushCache}
		}
	}
	if w.restart {
		restart, err := planRestart(ctx, t)
		if err != nil {
			return p, err
		}
		p.Restart, p.Steps = &restart, append(p.Steps, runbook.RestartAuthoriser)
	}
	if w.gateway {
		gateway, err := planGateway(ctx, t)
		if err != nil {
			return p, err
		}
		p.Gateway, p.Steps = &gateway, append(p.Steps, runbook.FlushGateway)
	}
	p.Resource, p.Void = first(p, t), void(t, r.Evidence)
	p.Advice = objections(p, r.Diagnosis.Verdict)
	seal(&p)
	return p, nil
}

// void lists the mitigations that have nothing to act on here: no function is
// configured, or the gateway was read and keeps no answer that could be emptied.
func void(t *check.Target, ev runbook.Evidence) (list []runbook.Mitigation) {
	if t.Function == nil {
		list = append(list, runbook.RestartAuthoriser)
	}
	known := ev.Gateway != nil && len(ev.Gateway.Problems) == 0
	if f := (&diagnose.Facts{Evidence: ev}); t.API == nil || known && f.ResultTTL() == 0 {
		list = append(list, runbook.FlushGateway)
	}
	return list
}

// first is the resource of the plan's first step.
func first(p runbook.Plan, t *check.Target) string {
	switch {
	case p.Has(runbook.FlushCache) || p.Has(runbook.RestoreCache):
		return t.Resource
	case p.Restart != nil:
		return runbook.FunctionResource(p.Restart.Function)
	case p.Gateway != nil:
		return p.Gateway.Resource()
	}
	return t.Resource
}

// objections are what the verdict says against the steps. The steps after a
// flush that it calls for are the runbook's own next ones: what stands against
// them alone (a restarted authoriser would read the old entry again) does not
// hold after the flush.
func objections(p runbook.Plan, v runbook.Verdict) string {
	if p.Has(runbook.FlushCache) && v.Advises(runbook.FlushCache) {
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

// PlanFlush resolves a flush to exactly what it will delete, from a report.
// Entries that hold the live keys already are left alone unless all are asked
// for, since deleting them changes nothing; entries of other issuers always are.
func PlanFlush(t *check.Target, r check.Report, scope runbook.Scope, all bool) runbook.Plan {
	f := diagnose.Gather(r.Evidence)
	p := runbook.Plan{Target: t.Name, Resource: t.Resource, Scope: scope, Live: check.NonNil(f.LiveSet.Thumbprints()), Entries: []runbook.PlanEntry{},
		Verdict: r.Diagnosis.Verdict.ID, Summary: r.Diagnosis.Verdict.Summary}
	if f.Cached == nil {
		return p
	}
	p.Others, p.Shards = f.Cached.Others, len(f.Cached.Shards)
	p.Truncated = f.Cached.Truncated
	p.NoUndo = p.Truncated || scope == runbook.ScopeAll
	p.Entries = make([]runbook.PlanEntry, 0, len(f.Cached.Entries))
	p.Patterns, p.Matching = t.Patterns, f.Cached.Matched
	var plans entryPlans
	for _, e := range f.Cached.Entries {
		switch {
		case e.Foreign != "":
			p.Foreign++
		case f.Current(e) && !all && scope == runbook.ScopeKeys:
			p.Current++
			p.Untouched = append(p.Untouched, runbook.EntryName(e.Name))
		default:
			p.Entries = append(p.Entries, plans.entry(e))
		}
	}
	return p
}

// planRestart binds a restart to the function as the gateway invokes it now.
func planRestart(ctx context.Context, t *check.Target) (runbook.RestartPlan, error) {
	if t.Function == nil {
		return runbook.RestartPlan{}, runbook.Refuse(RefusedSteps, "Target %s has no function to restart: set authoriser.function.", t.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, check.StepDeadline)
	defer cancel()
	ev, err := t.Inspect(ctx)
	if err != nil {
		return runbook.RestartPlan{}, unread("The authoriser's function cannot be read, so nobody can say what a restart would do", err)
	}
	if ev.Refusal != "" || ev.Mode == runbook.RestartNone {
		return runbook.RestartPlan{}, runbook.Refuse(runbook.RefusedRestart, "The authoriser cannot be restarted: %s.", strings.TrimSuffix(ev.Refusal, "."))
	}
	return runbook.RestartPlan{Function: ev.Function, Qualifier: ev.Qualifier, Version: ev.Version, Mode: ev.Mode, Revision: ev.Revision,
		AliasRevision: ev.AliasRevision, CodeSHA: ev.CodeSHA, Provisioned: ev.Provisioned}, nil
}

// unread turns an error of reading into a refusal that says so; a refusal stays
// what it is.
func unread(what string, err error) error {
	var refusal *runbook.Refusal
	if errors.As(err, &refusal) {
		return refusal
	}
	return runbook.Refuse(runbook.RefusedUnread, "%s: %s. Nothing was touched; try again.", what, err)
}

// planGateway finds the result cache that can be emptied.
func planGateway(ctx context.Context, t *check.Target) (runbook.GatewayPlan, error) {
	if t.API == nil {
		return runbook.GatewayPlan{}, runbook.Refuse(RefusedSteps, "Target %s has no gateway whose cache could be emptied: set gateway.rest_api or gateway.http_api.", t.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, check.StepDeadline)
	defer cancel()
	setup, err := t.API.Setup(ctx)
	if err != nil {
		return runbook.GatewayPlan{}, unread("The gateway's authorisers cannot be read", err)
	}
	p := runbook.GatewayPlan{Kind: setup.Kind, API: setup.ID, Stage: setup.Stage, Authorisers: []string{}}
	managed, lambdas, kept := "", 0, time.Duration(0)
	for _, a := range setup.Authorisers {
		switch {
		case a.Managed():
			managed, kept = a.Label(), max(kept, a.KeysKept())
		case a.Kind == runbook.LambdaAuthoriser:
			lambdas++
			if a.ResultTTL > 0 {
				p.Authorisers, p.TTL = append(p.Authorisers, a.Label()), max(p.TTL, a.ResultTTL)
			}
		}
	}
	switch {
	case len(p.Authorisers) > 0:
		return p, nil
	case kept > 0:
		return p, runbook.Refuse(RefusedManaged, "The gateway validates tokens itself (authoriser %q): it keeps its own copy of the keys, which nobody can evict. Wait: it takes up to %s.", managed, runbook.Duration(kept))
	case lambdas > 0:
		return p, runbook.Refuse(runbook.RefusedNothing, "There is nothing to empty: the gateway keeps no results of its authoriser (result TTL 0), so every request asks it again.")
	}
	return p, runbook.Refuse(runbook.RefusedNothing, "There is nothing to empty: stage %q of API %s has no Lambda authoriser.", setup.Stage, setup.ID)
}

// entryPlans makes the lines of a plan. Entries that say the same share what is
// said of their keys.
type entryPlans struct {
	known diagnose.Memo[diagnose.KeyList, runbook.PlanEntry]
}

func (l *entryPlans) entry(e runbook.Entry) runbook.PlanEntry {
	p := l.known.Remember(diagnose.ListOf(e.Reading.Set), func() runbook.PlanEntry { return planKeys(e.Reading.Set) })
	p.Name, p.Shard, p.Format = runbook.EntryName(e.Name), e.Shard, e.Reading.Format
	if e.Reading.Content != runbook.ContentKeys {
		p.Meaning = e.Meaning()
	}
	return p
}

func planKeys(s runbook.KeySet) runbook.PlanEntry {
	p := runbook.PlanEntry{Kids: []string{}, Thumbprints: []string{}, Meaning: s.Meaning()}
	for _, k := range s.Keys {
		p.Kids = append(p.Kids, k.Kid)
		p.Thumbprints = append(p.Thumbprints, k.Thumbprint)
	}
	return p
}
