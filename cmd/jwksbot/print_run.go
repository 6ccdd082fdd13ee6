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
	for _, l := range plan.Lines() {
		p.planLine(l)
	}
	if plan.Advice != "" {
		p.line("  against the verdict %s: %s", plan.Verdict, clean(plan.Advice))
	}
	if plan.Digest != "" {
		p.line("  digest %s", short(plan.Digest))
	}
	return p.err
}

// planLine prints one line of a plan, and below it the entries that it names. A
// danger is marked with a sign as well as with colour.
func (p *printer) planLine(l runbook.PlanLine) {
	text := l.Plain(listed)
	if len(l.Entries) > 0 {
		text = l.Sentence() + ":"
	}
	if l.Danger > runbook.Harmless {
		p.line("  %s", p.paint("1;31", "! "+text))
	} else {
		p.line("  - %s", clean(text))
	}
	for i, e := range l.Entries {
		if i == listed {
			p.line("    … and %s more", runbook.Thousands(int64(len(l.Entries)-i)))
			break
		}
		p.line("    %s", clean(e.Text()))
	}
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
