package approve

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/check"
	"jwksbot/runbook/redact"
)

// ticketForm is the only form of ticket that is accepted.
var ticketForm = regexp.MustCompile(`^(INC|CHG)-[\w-]+$`)

const (
	maxTicket = 64  // characters
	MaxReason = 500 // characters
)

// Open takes a request: it checks the person and the form, runs the checks
// unless a report younger than two minutes exists, resolves the plan, and
// leaves a pending run in the ledger (with a broken glass an approved one). A
// refusal comes back as *Refusal and is on record.
func (s *Service) Open(ctx context.Context, req Request, rep check.Reporter) (runbook.Run, check.Report, error) {
	if t, err := s.Target(req.Target); err == nil {
		req.Target = t.Name
	}
	run, report, err := s.open(ctx, req, rep)
	if err != nil {
		return runbook.Run{}, report, s.noteRefusal(ctx, "request", req.By, req.Target, err)
	}
	return run, report, nil
}

func (s *Service) open(ctx context.Context, req Request, rep check.Reporter) (runbook.Run, check.Report, error) {
	t, err := s.mayRequest(ctx, req)
	if err != nil {
		return runbook.Run{}, check.Report{}, err
	}
	req.tidy()
	if err := s.checkForm(t, req); err != nil {
		return runbook.Run{}, check.Report{}, err
	}
	if req.BreakGlass == "" {
		if err := s.satisfiable(ctx, t, req.By); err != nil {
			return runbook.Run{}, check.Report{}, err
		}
	}
	if req.RestoreOf != "" {
		plan, err := s.undoOf(ctx, t, req)
		if err != nil {
			return runbook.Run{}, check.Report{Target: t.Name}, err
		}
		run, err := s.create(ctx, t, req, plan, time.Time{})
		return run, check.Report{Target: t.Name}, err
	}
	if !req.NoFlush {
		if err := s.cooledDown(ctx, t, ""); err != nil {
			return runbook.Run{}, check.Report{}, err
		}
	}
	report, err := s.runner.First(ctx, t, rep)
	if err != nil {
		return runbook.Run{}, check.Report{}, err
	}
	plan, err := lay(ctx, t, report, requestIntent(t, req))
	if err != nil {
		return runbook.Run{}, report, err
	}
	run, err := s.create(ctx, t, req, plan, rotated(report))
	return run, report, err
}

// undoOf plans the undo of what a run did.
func (s *Service) undoOf(ctx context.Context, t *check.Target, req Request) (runbook.Plan, error) {
	if s.snaps == nil {
		return runbook.Plan{}, runbook.Refuse(RefusedGone, "No copies are kept here, so nothing can be written back.")
	}
	of, err := s.known(ctx, req.RestoreOf)
	if err != nil {
		return runbook.Plan{}, err
	}
	return planRestore(ctx, t, s.snaps, of, req.Force, s.clock.Now())
}

// Preview resolves the plan that a request would lead to, without asking
// anybody or keeping anything.
func (s *Service) Preview(ctx context.Context, req Request, rep check.Reporter) (runbook.Plan, check.Report, error) {
	t, err := s.Target(req.Target)
	if err != nil {
		return runbook.Plan{}, check.Report{}, err
	}
	req.tidy()
	if err := checkSteps(t, req); err != nil {
		return runbook.Plan{}, check.Report{}, err
	}
	if req.RestoreOf != "" {
		plan, err := s.undoOf(ctx, t, req)
		return plan, check.Report{Target: t.Name}, err
	}
	report, err := s.runner.Check(ctx, t, check.Ask{Anew: true}, rep)
	if err != nil {
		return runbook.Plan{}, check.Report{}, err
	}
	plan, err := lay(ctx, t, report, requestIntent(t, req))
	return plan, report, err
}

func (r *Request) tidy() {
	if r.Scope == "" {
		r.Scope = runbook.ScopeKeys
	}
	r.Ticket = strings.ToUpper(strings.TrimSpace(r.Ticket))
	r.Reason = runbook.Clip(redact.Text(strings.TrimSpace(r.Reason)), MaxReason)
	r.Override = runbook.Clip(redact.Text(strings.TrimSpace(r.Override)), MaxReason)
	r.BreakGlass = runbook.Clip(redact.Text(strings.TrimSpace(r.BreakGlass)), MaxReason)
	r.RestoreOf = strings.TrimSpace(r.RestoreOf)
}

// CheckTicket says what is wrong with a ticket, nil if nothing.
func CheckTicket(ticket string) error {
	if len(ticket) > maxTicket || !ticketForm.MatchString(strings.ToUpper(strings.TrimSpace(ticket))) {
		return runbook.Refuse(RefusedTicket, "A ticket looks like INC-2026-0214-001 or CHG-1234.")
	}
	return nil
}

func (s *Service) checkForm(t *check.Target, req Request) error {
	if err := CheckTicket(req.Ticket); err != nil {
		return err
	}
	if req.Reason == "" {
		return runbook.Refuse(RefusedReason, "Say in a few words why: the approvers and the record need it.")
	}
	return checkSteps(t, req)
}

// checkSteps says what does not go together in what is asked for.
func checkSteps(t *check.Target, req Request) error {
	undo := req.RestoreOf != ""
	switch {
	case req.BreakGlass != "" && !t.Policy.BreakGlass:
		return runbook.Refuse(RefusedBreakGlass, "Target %s does not allow acting without an approval. Request it without break-glass, or set approval.break_glass.", t.Name)
	case undo && (req.Restart || req.Gateway):
		return runbook.Refuse(RefusedSteps, "An undo stands alone: request the restart or the gateway flush by itself.")
	case req.Force && !undo:
		return runbook.Refuse(RefusedSteps, "Only an undo can be forced.")
	case !undo && req.NoFlush && !req.Restart && !req.Gateway:
		return runbook.Refuse(RefusedSteps, "Nothing is asked for: choose a flush, a restart, or the gateway's cache.")
	case req.Scope == runbook.ScopeAll && !t.AllowAll:
		return runbook.Refuse(RefusedScope, "Target %s does not allow flushing the whole replication group. Use the matching keys, or set cache.allow_flush_all.", t.Name)
	case req.Scope != runbook.ScopeKeys && req.Scope != runbook.ScopeAll:
		return runbook.Refuse(RefusedScope, "The scope is either %q or %q.", runbook.ScopeKeys, runbook.ScopeAll)
	}
	return nil
}

// satisfiable refuses a request that could never be approved.
func (s *Service) satisfiable(ctx context.Context, t *check.Target, requester string) error {
	without := requester
	if t.Policy.SelfApproval {
		without = ""
	}
	n, err := LookUp(ctx, s.people, true, nil, GroupsOf(t.Policy.Approvers)).Possible(t.Policy.Approvers, without)
	if err != nil {
		return err
	}
	if n < t.Policy.Required {
		return runbook.Refuse(RefusedUnsatisfied, "Nobody could approve this: %s needs %s, and only %s may give one. Add people to approval.approvers or to its user groups.",
			t.Name, runbook.Plural(t.Policy.Required, "approval", "approvals"), runbook.Plural(n, "other person", "other people"))
	}
	return nil
}

func (s *Service) create(ctx context.Context, t *check.Target, req Request, plan runbook.Plan, rotated time.Time) (runbook.Run, error) {
	requester, heard, err := s.requester(ctx, t, req) // once more: the checks took their time
	if err != nil {
		return runbook.Run{}, err
	}
	now := s.clock.Now()
	channel := req.Channel
	if channel == "" {
		channel = t.Channel
	}
	run := runbook.Run{
		ID: newRunID(now), Target: t.Name, Resource: plan.Resource, Locks: plan.Locks(), State: runbook.StatePending, Generation: 1, Version: 1,
		Plan: plan, Requester: requester.PersonRef, Via: req.Via, Verified: s.verified, Ticket: req.Ticket, Reason: req.Reason, Override: req.Override,
		BreakGlass: req.BreakGlass, Rotated: rotated, OnCall: t.Watch.UserGroup,
		Required: t.Policy.Required, CreatedAt: now, ExpiresAt: now.Add(t.Policy.Expires), RemindAt: now.Add(t.Policy.Expires / 2),
		Post: runbook.Post{Channel: channel},
	}
	trail := []runbook.AuditEntry{Audit(run, now, req.By, "request", detail(plan)+heard)}
	if run.BreakGlass != "" {
		busy, err := ConflictingRun(ctx, s.ledger, run)
		if err != nil {
			return runbook.Run{}, err
		}
		if busy != nil {
			return runbook.Run{}, runbook.Refuse(runbook.RefusedBusy, "Not now: %s.", busy.Error())
		}
		trail = append(trail, breakGlass(&run, requester, heard, now))
	}
	err = s.ledger.Create(ctx, run, trail...)
	var busy *runbook.BusyError
	if errors.As(err, &busy) {
		return runbook.Run{}, runbook.Refuse(runbook.RefusedBusy, "Not now: %s.", busy.Error())
	}
	return run, err
}

// breakGlass approves the run without anybody.
func breakGlass(r *runbook.Run, p Person, heard string, now time.Time) runbook.AuditEntry {
	r.Decisions = append(r.Decisions, runbook.Decision{By: p.PersonRef, Kind: runbook.DecideBreakGlass, Reason: r.BreakGlass, Generation: r.Generation, At: now, Via: r.Via, Verified: r.Verified})
	r.State, r.ApprovedAt, r.StartBy, r.RemindAt = runbook.StateApproved, now, now.Add(startWithin), time.Time{}
	return Audit(*r, now, p.ID, "break_glass", "BREAK-GLASS, approved by nobody: "+r.BreakGlass+heard)
}

// detail is the plan in one line of the audit trail.
func detail(p runbook.Plan) string {
	if p.Restore != nil {
		return p.ExactTask()
	}
	return p.ExactTask() + ", verdict " + string(p.Verdict)
}

// rotated is when the newest live key was seen first, if older keys show that
// somebody was looking before.
func rotated(r check.Report) time.Time {
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
