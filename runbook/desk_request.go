package runbook

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// ticketForm is the only form of ticket that is accepted.
var ticketForm = regexp.MustCompile(`^(INC|CHG)-[\w-]+$`)

const (
	maxTicket = 64  // characters
	maxReason = 500 // characters
)

// Open takes a request: it checks the person and the form, runs the checks
// unless a report younger than two minutes exists, resolves the plan, and
// leaves a pending run in the ledger (with a broken glass an approved one). A
// refusal comes back as *Refusal and is on record.
func (d *Desk) Open(ctx context.Context, req Request, rep Reporter) (Run, Report, error) {
	if t, err := d.Target(req.Target); err == nil {
		req.Target = t.Name
	}
	run, report, err := d.open(ctx, req, rep)
	if err != nil {
		return Run{}, report, d.noteRefusal(ctx, "request", req.By, req.Target, err)
	}
	return run, report, nil
}

func (d *Desk) open(ctx context.Context, req Request, rep Reporter) (Run, Report, error) {
	t, err := d.mayRequest(ctx, req)
	if err != nil {
		return Run{}, Report{}, err
	}
	req.tidy()
	if err := d.checkForm(t, req); err != nil {
		return Run{}, Report{}, err
	}
	if req.BreakGlass == "" {
		if err := d.satisfiable(ctx, t, req.By); err != nil {
			return Run{}, Report{}, err
		}
	}
	if req.RestoreOf != "" {
		plan, err := d.undoOf(ctx, t, req)
		if err != nil {
			return Run{}, Report{Target: t.Name}, err
		}
		run, err := d.create(ctx, t, req, plan, time.Time{})
		return run, Report{Target: t.Name}, err
	}
	if !req.NoFlush {
		if err := d.cooledDown(ctx, t, ""); err != nil {
			return Run{}, Report{}, err
		}
	}
	report, err := d.runner.first(ctx, t, rep)
	if err != nil {
		return Run{}, Report{}, err
	}
	plan, err := t.lay(ctx, report, t.wanted(req))
	if err != nil {
		return Run{}, report, err
	}
	run, err := d.create(ctx, t, req, plan, report.rotated())
	return run, report, err
}

// undoOf plans the undo of what a run did.
func (d *Desk) undoOf(ctx context.Context, t *Target, req Request) (Plan, error) {
	if d.snaps == nil {
		return Plan{}, refuse(RefusedGone, "There is no store of copies here, so nothing can be written back.")
	}
	of, err := d.known(ctx, req.RestoreOf)
	if err != nil {
		return Plan{}, err
	}
	return t.planRestore(ctx, d.snaps, of, req.Force, d.clock.Now())
}

// Preview resolves the plan that a request would lead to, without asking
// anybody or keeping anything.
func (d *Desk) Preview(ctx context.Context, req Request, rep Reporter) (Plan, Report, error) {
	t, err := d.Target(req.Target)
	if err != nil {
		return Plan{}, Report{}, err
	}
	req.tidy()
	if err := checkSteps(t, req); err != nil {
		return Plan{}, Report{}, err
	}
	if req.RestoreOf != "" {
		plan, err := d.undoOf(ctx, t, req)
		return plan, Report{Target: t.Name}, err
	}
	report, err := d.runner.Check(ctx, t, Ask{Anew: true}, rep)
	if err != nil {
		return Plan{}, Report{}, err
	}
	plan, err := t.lay(ctx, report, t.wanted(req))
	return plan, report, err
}

func (r *Request) tidy() {
	if r.Scope == "" {
		r.Scope = ScopeKeys
	}
	r.Ticket = strings.ToUpper(strings.TrimSpace(r.Ticket))
	r.Reason = clip(Redact(strings.TrimSpace(r.Reason)), maxReason)
	r.Override = clip(Redact(strings.TrimSpace(r.Override)), maxReason)
	r.BreakGlass = clip(Redact(strings.TrimSpace(r.BreakGlass)), maxReason)
	r.RestoreOf = strings.TrimSpace(r.RestoreOf)
}

// clip cuts a text to n characters and shows that it did.
func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// CheckTicket says what is wrong with a ticket, nil if nothing.
func CheckTicket(ticket string) error {
	if len(ticket) > maxTicket || !ticketForm.MatchString(strings.ToUpper(strings.TrimSpace(ticket))) {
		return refuse(RefusedTicket, "A ticket looks like INC-2026-0214-001 or CHG-1234.")
	}
	return nil
}

func (d *Desk) checkForm(t *Target, req Request) error {
	if err := CheckTicket(req.Ticket); err != nil {
		return err
	}
	if req.Reason == "" {
		return refuse(RefusedReason, "Say in a few words why: the approvers and the record need it.")
	}
	return checkSteps(t, req)
}

// checkSteps says what does not go together in what is asked for.
func checkSteps(t *Target, req Request) error {
	undo := req.RestoreOf != ""
	switch {
	case req.BreakGlass != "" && !t.Policy.BreakGlass:
		return refuse(RefusedBreakGlass, "Target %s does not allow acting without an approval. Request it without break-glass, or set approval.break_glass.", t.Name)
	case undo && (req.Restart || req.Gateway):
		return refuse(RefusedSteps, "An undo stands alone: request the restart or the gateway flush by itself.")
	case req.Force && !undo:
		return refuse(RefusedSteps, "Only an undo can be forced.")
	case !undo && req.NoFlush && !req.Restart && !req.Gateway:
		return refuse(RefusedSteps, "Nothing is asked for: choose a flush, a restart, or the gateway's cache.")
	case req.Scope == ScopeAll && !t.AllowAll:
		return refuse(RefusedScope, "Target %s does not allow flushing the whole replication group. Use the matching keys, or set cache.allow_flush_all.", t.Name)
	case req.Scope != ScopeKeys && req.Scope != ScopeAll:
		return refuse(RefusedScope, "The scope is either %q or %q.", ScopeKeys, ScopeAll)
	}
	return nil
}

// satisfiable refuses a request that could never be approved.
func (d *Desk) satisfiable(ctx context.Context, t *Target, requester string) error {
	without := requester
	if t.Policy.SelfApproval {
		without = ""
	}
	n, err := hear(ctx, d.people, true, nil, groupsOf(t.Policy.Approvers)).possible(t.Policy.Approvers, without)
	if err != nil {
		return err
	}
	if n < t.Policy.Required {
		return refuse(RefusedUnsatisfied, "Nobody could approve this: %s needs %s, and only %s may give one. Add people to approval.approvers or to its user groups.",
			t.Name, plural(t.Policy.Required, "approval", "approvals"), plural(n, "other person", "other people"))
	}
	return nil
}

// noun is what the plan is called in a sentence.
func (p Plan) noun() string {
	if len(p.Steps) != 1 {
		return "this"
	}
	switch p.Steps[0] {
	case RestartAuthoriser:
		return "a restart"
	case FlushGateway:
		return "a flush of the gateway's cache"
	}
	return "a flush"
}

// verb is the form of a verb that fits the number.
func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func (d *Desk) create(ctx context.Context, t *Target, req Request, plan Plan, rotated time.Time) (Run, error) {
	requester, heard, err := d.requester(ctx, t, req) // once more: the checks took their time
	if err != nil {
		return Run{}, err
	}
	now := d.clock.Now()
	channel := req.Channel
	if channel == "" {
		channel = t.Channel
	}
	run := Run{
		ID: newRunID(now), Target: t.Name, Resource: plan.Resource, Locks: plan.locks(), State: StatePending, Generation: 1, Version: 1,
		Plan: plan, Requester: requester.PersonRef, Via: req.Via, Verified: d.verified, Ticket: req.Ticket, Reason: req.Reason, Override: req.Override,
		BreakGlass: req.BreakGlass, Rotated: rotated, OnCall: t.Watch.UserGroup,
		Required: t.Policy.Required, CreatedAt: now, ExpiresAt: now.Add(t.Policy.Expires), RemindAt: now.Add(t.Policy.Expires / 2),
		Post: Post{Channel: channel},
	}
	trail := []AuditEntry{run.audit(now, req.By, "request", plan.detail()+heard)}
	if run.BreakGlass != "" {
		busy, err := rival(ctx, d.ledger, run)
		if err != nil {
			return Run{}, err
		}
		if busy != nil {
			return Run{}, refuse(RefusedBusy, "Not now: %s.", busy.Error())
		}
		trail = append(trail, run.breakGlass(requester, heard, now))
	}
	err = d.ledger.Create(ctx, run, trail...)
	var busy *BusyError
	if errors.As(err, &busy) {
		return Run{}, refuse(RefusedBusy, "Not now: %s.", busy.Error())
	}
	return run, err
}

// breakGlass approves the run without anybody.
func (r *Run) breakGlass(p Person, heard string, now time.Time) AuditEntry {
	r.Decisions = append(r.Decisions, Decision{By: p.PersonRef, Kind: DecideBreakGlass, Reason: r.BreakGlass, Generation: r.Generation, At: now, Via: r.Via, Verified: r.Verified})
	r.State, r.ApprovedAt, r.StartBy, r.RemindAt = StateApproved, now, now.Add(startWithin), time.Time{}
	return r.audit(now, p.ID, "break_glass", "BREAK-GLASS, approved by nobody: "+r.BreakGlass+heard)
}

// begins names what starts with the first step.
func (p Plan) begins() string {
	switch {
	case p.Restore != nil:
		return "the undo"
	case p.Has(FlushCache):
		return "the flush"
	case p.Restart != nil:
		return "the restart"
	}
	return "the flush of the gateway's cache"
}

// detail is the plan in one line of the audit trail.
func (p Plan) detail() string {
	if r := p.Restore; r != nil {
		return fmt.Sprintf("undo of run %s: %s to write back", r.Of, plural(r.writes(), "entry", "entries"))
	}
	var parts []string
	for _, m := range p.Steps {
		switch {
		case m == FlushCache && p.Scope == ScopeAll:
			parts = append(parts, "the whole group to flush")
		case m == FlushCache && p.Truncated:
			parts = append(parts, "everything that matches to delete")
		case m == FlushCache:
			parts = append(parts, plural(len(p.Entries), "entry", "entries")+" to delete")
		case m == RestartAuthoriser:
			parts = append(parts, p.Restart.invoked()+" to restart")
		case m == FlushGateway:
			parts = append(parts, p.Gateway.resource()+" to empty")
		}
	}
	return fmt.Sprintf("%s, verdict %s", strings.Join(parts, ", "), p.Verdict)
}

// rotated is when the newest live key was seen first, if older keys show that
// somebody was looking before.
func (r Report) rotated() time.Time {
	set, ok := r.Evidence.Live.Set()
	if !ok {
		return time.Time{}
	}
	var newest, oldest time.Time
	for _, s := range r.Evidence.History {
		if oldest.IsZero() || s.FirstSeen.Before(oldest) {
			oldest = s.FirstSeen
		}
		for _, k := range set.Keys {
			if k.Thumbprint == s.Thumbprint && s.FirstSeen.After(newest) {
				newest = s.FirstSeen
			}
		}
	}
	if !newest.After(oldest) {
		return time.Time{}
	}
	return newest
}
