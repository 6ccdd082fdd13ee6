package runbook

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Desk takes what people ask for and decide. It is the only way in, from Slack
// and from the terminal, and it enforces every rule about people: at the
// request, at the decision, and once more when the run is executed.
type Desk struct {
	targets map[string]*Target
	order   []string
	runner  *Runner
	ledger  ledger
	snaps   snapshots
	people  Directory
	clock   Clock
}

// DeskSettings are what a Desk needs.
type DeskSettings struct {
	Targets []*Target // in the order in which they are shown
	Runner  *Runner
	Ledger  ledger
	// Snapshots are where the entries lie that an undo writes back; nil: no undo
	// can be requested.
	Snapshots snapshots
	People    Directory
	Clock     Clock
}

// NewDesk returns a desk for the targets.
func NewDesk(s DeskSettings) (*Desk, error) {
	d := &Desk{targets: map[string]*Target{}, runner: s.Runner, ledger: s.Ledger, snaps: s.Snapshots, people: s.People, clock: s.Clock}
	for _, t := range s.Targets {
		if d.targets[t.Name] != nil {
			return nil, fmt.Errorf("target %q is configured twice", t.Name)
		}
		d.targets[t.Name] = t
		d.order = append(d.order, t.Name)
	}
	if len(d.order) == 0 {
		return nil, errors.New("no targets: configure at least one")
	}
	return d, nil
}

// Targets lists the names of the targets in their order.
func (d *Desk) Targets() []string { return append([]string(nil), d.order...) }

// Target finds a target; an empty name is the only one, if there is one only.
func (d *Desk) Target(name string) (*Target, error) {
	if name == "" && len(d.order) == 1 {
		return d.targets[d.order[0]], nil
	}
	if t := d.targets[name]; t != nil {
		return t, nil
	}
	if name == "" {
		return nil, refuse(RefusedTarget, "Which target? One of: %s.", strings.Join(d.order, ", "))
	}
	return nil, refuse(RefusedTarget, "There is no target %q. Configured are: %s.", Redact(name), strings.Join(d.order, ", "))
}

// Request is what somebody asks for.
type Request struct {
	Target  string
	NoFlush bool  // the cache stays as it is: Restart or Gateway alone
	Scope   Scope // "" means ScopeKeys
	Direct  bool  // flush directly although the target goes through CommandBridge
	Restart bool  // restart the authoriser, after the flush if there is one
	Gateway bool  // empty the gateway's result cache, after all else
	// RestoreOf is the run whose deleted entries are to be written back; then
	// nothing else is done. Force overwrites newer entries.
	RestoreOf string
	Force     bool

	Ticket   string // INC-… or CHG-…
	Reason   string
	Override string // why it should be done against the verdict's advice
	// BreakGlass is why nobody can be asked: where the target allows it, the run
	// starts at once, against any verdict, and the approvers are told.
	BreakGlass string
	By         string // the person's id
	Via        Via
	Channel    string // where the approval card is to stand; "" means the target's channel
}

// View checks that somebody may see a target's reports.
func (d *Desk) View(ctx context.Context, target, by string) (*Target, error) {
	t, err := d.Target(target)
	if err != nil {
		return nil, err
	}
	p, err := d.person(ctx, by)
	if err != nil {
		return nil, err
	}
	if len(t.Policy.Viewers) == 0 {
		return t, nil
	}
	return t, d.allowed(ctx, p, t.Policy.Viewers, false, "see the checks of "+t.Name)
}

// Check runs the checks of a target for somebody who may see them.
func (d *Desk) Check(ctx context.Context, target, by string, ask Ask, rep Reporter) (Report, error) {
	t, err := d.View(ctx, target, by)
	if err != nil {
		return Report{}, err
	}
	return d.runner.Check(ctx, t, ask, rep)
}

// Last returns the newest report of a target that is at most two minutes old,
// nil if there is none, for somebody who may see it.
func (d *Desk) Last(ctx context.Context, target, by string) (*Report, error) {
	t, err := d.View(ctx, target, by)
	if err != nil {
		return nil, err
	}
	return d.runner.last(t.Name), nil
}

// MayRequest says whether somebody may ask for a mitigation of the target.
func (d *Desk) MayRequest(ctx context.Context, target, by string) (*Target, error) {
	t, err := d.Target(target)
	if err != nil {
		return nil, err
	}
	p, err := d.person(ctx, by)
	if err != nil {
		return nil, err
	}
	return t, d.allowed(ctx, p, t.Policy.Requesters, true, "request a mitigation of "+t.Name)
}

func (d *Desk) person(ctx context.Context, id string) (Person, error) {
	p, err := d.people.Person(ctx, id)
	if err != nil {
		return Person{}, fmt.Errorf("who is %q: %w", id, err)
	}
	return p, admit(p)
}

func (d *Desk) allowed(ctx context.Context, p Person, list []string, fresh bool, what string) error {
	ok, err := listed(ctx, d.people, p.ID, list, fresh)
	switch {
	case err != nil:
		return err
	case ok:
		return nil
	case len(list) == 0:
		return refuse(RefusedRight, "Nobody may %s: its list in the configuration is empty.", what)
	}
	no := refuse(RefusedRight, "You may not %s.", what)
	no.People = list
	return no
}

// ticketForm is the only form of ticket that is accepted.
var ticketForm = regexp.MustCompile(`^(INC|CHG)-[\w-]+$`)

const (
	maxTicket = 64
	maxReason = 500
)

// Open takes a request: it checks the person and the form, runs the checks
// unless a report younger than two minutes exists, resolves the plan, and
// leaves a pending run in the ledger. A refusal comes back as *Refusal.
func (d *Desk) Open(ctx context.Context, req Request, rep Reporter) (Run, Report, error) {
	t, err := d.MayRequest(ctx, req.Target, req.By)
	if err != nil {
		return Run{}, Report{}, d.noteRefusal(ctx, "request", req.By, req.Target, err)
	}
	req.tidy()
	if err := d.checkForm(t, req); err != nil {
		return Run{}, Report{}, err
	}
	if err := d.satisfiable(ctx, t, req.By); err != nil {
		return Run{}, Report{}, err
	}
	if err := d.cooledDown(ctx, t, ""); err != nil {
		return Run{}, Report{}, err
	}
	report, err := d.runner.check(ctx, t, Ask{}, rep, planFreshFor)
	if err != nil {
		return Run{}, Report{}, err
	}
	plan := t.planFlush(report, req.Scope, req.Override != "")
	if err := judgePlan(report, plan, req.Override); err != nil {
		return Run{}, report, d.noteRefusal(ctx, "request", req.By, t.Name, err)
	}
	run, err := d.create(ctx, t, req, plan)
	return run, report, err
}

// Preview resolves the plan that a request would lead to, without asking
// anybody or keeping anything.
func (d *Desk) Preview(ctx context.Context, req Request, rep Reporter) (Plan, Report, error) {
	t, err := d.Target(req.Target)
	if err != nil {
		return Plan{}, Report{}, err
	}
	req.tidy()
	if req.Scope == ScopeAll && !t.AllowAll {
		return Plan{}, Report{}, refuseAll(t)
	}
	report, err := d.runner.Check(ctx, t, Ask{Anew: true}, rep)
	if err != nil {
		return Plan{}, Report{}, err
	}
	plan := t.planFlush(report, req.Scope, req.Override != "")
	return plan, report, judgePlan(report, plan, req.Override)
}

func (r *Request) tidy() {
	if r.Scope == "" {
		r.Scope = ScopeKeys
	}
	r.Ticket = strings.ToUpper(strings.TrimSpace(r.Ticket))
	r.Reason = clip(Redact(strings.TrimSpace(r.Reason)), maxReason)
	r.Override = clip(Redact(strings.TrimSpace(r.Override)), maxReason)
}

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
	switch {
	case req.Scope == ScopeAll && !t.AllowAll:
		return refuseAll(t)
	case req.Scope != ScopeKeys && req.Scope != ScopeAll:
		return refuse(RefusedScope, "The scope is either %q or %q.", ScopeKeys, ScopeAll)
	}
	return nil
}

func refuseAll(t *Target) error {
	return refuse(RefusedScope, "Target %s does not allow flushing the whole replication group. Use the matching keys, or set cache.allow_flush_all.", t.Name)
}

// satisfiable refuses a request that could never be approved.
func (d *Desk) satisfiable(ctx context.Context, t *Target, requester string) error {
	without := requester
	if t.Policy.SelfApproval {
		without = ""
	}
	n, err := possible(ctx, d.people, t.Policy.Approvers, without)
	if err != nil {
		return err
	}
	if n < t.Policy.Required {
		return refuse(RefusedUnsatisfied, "Nobody could approve this: %s needs %s, and only %s may give one. Add people to approval.approvers or to its user groups.",
			t.Name, plural(t.Policy.Required, "approval", "approvals"), plural(n, "other person", "other people"))
	}
	return nil
}

// judgePlan holds a plan against the verdict.
func judgePlan(report Report, plan Plan, override string) error {
	v := report.Diagnosis.Verdict
	switch {
	case v.Forbids():
		return refuse(RefusedUnsafe, "Refused: %s", v.Summary)
	case report.Evidence.Cached == nil:
		return refuse(RefusedUnread, "Refused: the cache could not be read, so nobody can say what would be deleted (%s).", report.Evidence.Unread[StepCachedKeys])
	case report.Evidence.Cached.Truncated:
		return refuse(RefusedUnread, "Refused: more entries match than can be listed and copied (%s were), so a flush could not be undone or proven. Narrow cache.keys, or raise snapshot.max_entries and snapshot.max_bytes.", plural(len(report.Evidence.Cached.Entries), "entry", "entries"))
	case plan.Advice != "" && override == "":
		return refuse(RefusedOverride, "The verdict is %s, and it advises against a flush: %s. To do it all the same, request it again with an override and its own reason.", v.ID, plan.Advice)
	case len(plan.Entries) == 0 && plan.Scope == ScopeKeys && v.Advises(FlushCache):
		return refuse(RefusedNothing, "Nothing to flush: no entry holds an old key, the one that fails is only missing. Restart the authoriser if it does not fetch the key by itself.")
	case len(plan.Entries) == 0 && plan.Scope == ScopeKeys:
		return refuse(RefusedNothing, "Nothing to flush: %s", v.Summary)
	}
	return nil
}

func (d *Desk) create(ctx context.Context, t *Target, req Request, plan Plan) (Run, error) {
	requester, err := d.people.Person(ctx, req.By)
	if err != nil {
		return Run{}, fmt.Errorf("who is %q: %w", req.By, err)
	}
	now := d.clock.Now()
	channel := req.Channel
	if channel == "" {
		channel = t.Channel
	}
	run := Run{
		ID: newRunID(now), Target: t.Name, Resource: t.Resource, State: StatePending, Generation: 1, Version: 1,
		Plan: plan, Requester: requester.PersonRef, Via: req.Via, Ticket: req.Ticket, Reason: req.Reason, Override: req.Override,
		Required: t.Policy.Required, CreatedAt: now, ExpiresAt: now.Add(t.Policy.Expires), RemindAt: now.Add(t.Policy.Expires / 2),
		Post: Post{Channel: channel},
	}
	entry := run.audit(now, req.By, "request", fmt.Sprintf("%s to delete, verdict %s", plural(len(plan.Entries), "entry", "entries"), plan.Verdict))
	return run, d.ledger.Create(ctx, run, entry)
}

// audit makes a row of the trail about this run.
func (r Run) audit(at time.Time, actor, kind, detail string) AuditEntry {
	return AuditEntry{At: at, Actor: actor, Kind: kind, Run: r.ID, Target: r.Target, Ticket: r.Ticket, Reason: r.Reason, Digest: r.Plan.Digest, Detail: detail}
}

// newRunID is short enough to be typed and read aloud, and says the day.
func newRunID(now time.Time) string {
	const letters = "abcdefghjkmnpqrstvwxyz23456789" // no look-alikes
	b := make([]byte, 8)
	rand.Read(b)
	for i := range b {
		b[i] = letters[int(b[i])%len(letters)]
	}
	return now.Format("0102") + "-" + string(b)
}

// noteRefusal puts a refusal into the audit trail and returns it.
func (d *Desk) noteRefusal(ctx context.Context, kind, by, target string, err error) error {
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	note := AuditEntry{At: d.clock.Now(), Actor: by, Kind: "refused", Target: clip(Redact(target), maxTicket), Detail: kind + ": " + refusal.Text}
	if auditErr := d.ledger.Note(ctx, note); auditErr != nil {
		return errors.Join(err, auditErr)
	}
	return err
}
