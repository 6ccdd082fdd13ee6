package main

import (
	"fmt"
	"strings"
	"time"

	"jwksbot/runbook"
)

// listed is how many entries of a plan are named one by one.
const listed = 20

// plan prints exactly what a run will touch.
func (p *printer) plan(plan runbook.Plan) error {
	p.line("%s for %s (%s)", p.bold("plan"), plan.Target, plan.Resource)
	if plan.Has(runbook.FlushCache) {
		p.flushPlan(plan)
	}
	if r := plan.Restart; r != nil {
		p.line("  restart %s", restartLine(*r))
	}
	if g := plan.Gateway; g != nil {
		p.line("  empty the result cache of %s API %s, stage %s (answers are kept up to %s); the effect cannot be read back",
			g.Kind, clean(g.API), clean(g.Stage), runbook.Duration(g.TTL))
	}
	if r := plan.Restore; r != nil {
		p.restorePlan(*r)
	}
	if plan.NoUndo {
		p.line("  %s", p.paint("1;31", "cannot be undone: no snapshot is kept"))
	}
	if plan.Advice != "" {
		p.line("  against the verdict %s: %s", plan.Verdict, clean(plan.Advice))
	}
	if plan.Digest != "" {
		p.line("  digest %s", short(plan.Digest))
	}
	return p.err
}

func (p *printer) flushPlan(plan runbook.Plan) {
	what := "matching entries"
	if plan.Scope == runbook.ScopeAll {
		what = "EVERYTHING on every primary"
	}
	if plan.Route == runbook.RouteBridge {
		what += ", by CommandBridge"
	}
	p.line("  flush %s", what)
	if plan.Truncated {
		p.line("  delete by name, whatever they hold: %s, everything that matches %s; that many matched when this plan was made",
			runbook.Plural(int(max(plan.Matching, int64(len(plan.Entries)))), "entry", "entries"), clean(strings.Join(plan.Patterns, ", ")))
	}
	for i, e := range plan.Entries {
		if plan.Truncated {
			break
		}
		if i == listed {
			p.line("  … and %s more", runbook.Thousands(int64(len(plan.Entries)-i)))
			break
		}
		p.line("  delete %s  (%s; kids %s)", clean(e.Name.String()), clean(e.Format), clean(strings.Join(e.Kids, ", ")))
	}
	if gone := plan.KidsGone(); len(gone) > 0 {
		p.line("  kids that leave the cache: %s", clean(strings.Join(gone, ", ")))
	}
	if plan.Current+plan.Foreign > 0 {
		p.line("  left alone: %d with live keys, %d of other issuers", plan.Current, plan.Foreign)
	}
	if plan.Scope == runbook.ScopeAll {
		p.line("  %s", p.paint("1;31", fmt.Sprintf("also deletes %s keys that are not JWKS", runbook.Thousands(plan.Others))))
	} else if plan.Others > 0 {
		p.line("  untouched: %s other keys in the same cache", runbook.Thousands(plan.Others))
	}
}

func restartLine(r runbook.RestartPlan) string {
	name := clean(r.Function)
	if r.Mode != runbook.RestartAlias {
		return fmt.Sprintf("%s: a configuration update of $LATEST makes new execution environments; code, variables and role stay", name)
	}
	text := fmt.Sprintf("%s: publishes $LATEST, which equals version %s, and moves alias %s to it", name, clean(r.Version), clean(r.Qualifier))
	if r.Provisioned > 0 {
		text += fmt.Sprintf("; waits for %s", runbook.Plural(r.Provisioned, "provisioned environment", "provisioned environments"))
	}
	return text
}

func (p *printer) restorePlan(r runbook.RestorePlan) {
	p.line("  write back what run %s deleted", r.Of)
	for i, e := range r.Entries {
		if i == listed {
			p.line("  … and %s more", runbook.Thousands(int64(len(r.Entries)-i)))
			break
		}
		p.line("  %s  %s", fateWord(e.Fate, r.Force), clean(e.Name.String()))
	}
	if r.MoveBack != nil {
		p.line("  move alias %s of %s back to version %s", clean(r.MoveBack.Qualifier), clean(r.MoveBack.Function), clean(r.MoveBack.Version))
	}
}

func fateWord(f runbook.Fate, force bool) string {
	switch {
	case f == runbook.FateGone:
		return "write back"
	case f == runbook.FateRewritten && force:
		return "OVERWRITE "
	case f == runbook.FateRewritten:
		return "keep newer"
	case f == runbook.FateLeft:
		return "there again"
	}
	return string(f)
}

// listing prints a run in a line or two.
func (p *printer) listing(r runbook.Run) {
	p.line("%s  %s  %s  %s UTC  requested by %s (%s): %s", p.bold(r.ID), r.Target, p.bold(string(r.State)), r.CreatedAt.UTC().Format(time.DateTime), clean(r.Requester.Label()), r.Ticket, clean(r.Reason))
	if r.Outcome != "" {
		p.line("  %s", clean(r.Outcome))
	}
}

// open prints what a run that waits for decisions would touch, for those who
// decide.
func (p *printer) open(r runbook.Run) error {
	p.line("%s  %s", p.bold(string(r.Plan.Verdict)), clean(r.Plan.Summary))
	if err := p.plan(r.Plan); err != nil {
		return err
	}
	if r.Override != "" {
		p.line("override: %s", clean(r.Override))
	}
	if r.Generation > 1 {
		p.line("this is plan %d: %s", r.Generation, clean(r.Changes))
	}
	p.line("%d of %s, open until %s; from another identity than the requester's:", len(r.Approvals()), runbook.Plural(r.Required, "approval", "approvals"), r.ExpiresAt.UTC().Format("15:04 UTC"))
	p.whole("  jwksbot approve %s --plan %d", r.ID, r.Generation)
	p.whole("  jwksbot deny %s", r.ID)
	return p.err
}

// run prints where a run stands.
func (p *printer) run(r runbook.Run) error {
	outcome := r.Outcome
	r.Outcome = "" // it comes last
	p.listing(r)
	if r.BreakGlass != "" {
		p.line("  %s %s", p.paint("1;31", "BREAK-GLASS, approved by nobody:"), clean(r.BreakGlass))
	}
	for _, d := range r.Decisions {
		line := fmt.Sprintf("  %s  %s by %s  %s", d.At.Format(time.TimeOnly), d.Kind, clean(d.By.Label()), clean(d.Reason))
		if d.Verified != "" {
			line += "  (" + clean(d.Verified) + ")"
		}
		p.line("%s", strings.TrimRight(line, " "))
	}
	for _, rec := range r.Receipts {
		p.hang(13, "  %s  %s  %s (%s)", p.statusMark(rec.Status), rec.Step, clean(rec.Summary), runbook.Duration(rec.EndedAt.Sub(rec.StartedAt)))
	}
	if w := r.Watch; w != nil {
		p.line("  watch: %s", clean(w.Text))
		if w.Note != "" {
			p.line("  %s", clean(w.Note))
		}
	}
	if e := r.Escalation; e != nil {
		p.line("  %s %s", p.paint("1;31", "escalated:"), clean(e.Why))
	}
	if outcome != "" {
		p.line("  %s", clean(outcome))
	}
	if r.State == runbook.StatePending {
		return p.open(r)
	}
	p.next(r)
	return p.err
}
