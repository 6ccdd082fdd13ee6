package runbook

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// Via says how a request or decision came in.
type Via string

// Ways in.
const (
	ViaSlack    Via = "slack"
	ViaTerminal Via = "terminal"
)

// PersonRef names a person in a record: the id decides, the name is for people.
type PersonRef struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// Run is one execution of one plan, from the request to its end.
type Run struct {
	ID     string `json:"id"`
	Target string `json:"target"`
	// Resource is what the mitigation changes first and what is locked for it,
	// such as "replication group production-oidc-cache". Locks are all resources
	// that the run has to itself while it holds, Resource among them.
	Resource string   `json:"resource"`
	Locks    []string `json:"locks,omitempty"`
	State    State    `json:"state"`
	// Generation is raised when a changed world puts a new plan before the
	// approvers; decisions on an older generation do not count.
	Generation int `json:"generation"`
	// Version is raised by every change of the row.
	Version int64 `json:"version"`

	// Changes is why the present plan is before the approvers anew; "" at first.
	Changes string `json:"changes,omitempty"`

	Plan Plan `json:"plan"`
	// Unlisted are the entries with old keys that were there when the run started
	// and that its plan does not list: they came later, and are left alone.
	// UnlistedMore says that more matched than could be read.
	Unlisted     []EntryName `json:"unlisted,omitempty"`
	UnlistedMore bool        `json:"unlisted_more,omitempty"`
	Requester    PersonRef   `json:"requester"`
	Via          Via         `json:"via"`
	// Verified is where it was found out who asked, if not by serve: "verified on
	// the requester's machine".
	Verified string `json:"verified,omitempty"`
	Ticket   string `json:"ticket"`
	Reason   string `json:"reason"`
	Override string `json:"override,omitempty"` // why it is done against the verdict's advice
	// BreakGlass is why nobody was asked; "" when people decided. The approvers
	// are told afterwards: GlassPing is the message that did.
	// GlassTold is the one in the target's own channel, where the glass was not
	// broken there.
	BreakGlass string `json:"break_glass,omitempty"`
	GlassPing  string `json:"glass_ping,omitempty"`
	GlassTold  string `json:"glass_told,omitempty"`

	Required  int        `json:"required"`
	Decisions []Decision `json:"decisions"`

	CreatedAt  time.Time `json:"created_at"`
	ProposedAt time.Time `json:"proposed_at,omitzero"` // when the present plan replaced an earlier one
	ExpiresAt  time.Time `json:"expires_at"`
	RemindAt   time.Time `json:"remind_at"` // zero: reminded, or no reminder
	ApprovedAt time.Time `json:"approved_at,omitzero"`
	StartBy    time.Time `json:"start_by,omitzero"` // an approved run that has not started by then expires
	StartedAt  time.Time `json:"started_at,omitzero"`
	// Cleared is when the rights of everybody were looked at for the last time,
	// right before the first effect. From there on the run depends on nobody.
	Cleared time.Time `json:"cleared,omitzero"`
	EndedAt time.Time `json:"ended_at,omitzero"`

	Post     Post      `json:"post"`              // the message that shows the run
	Renewed  bool      `json:"renewed,omitempty"` // its card was posted anew, since its buttons named no plan
	Shown    int64     `json:"shown"`             // the version that the message shows
	Receipts []Receipt `json:"receipts"`          // one for each step that ran, in order
	Progress Progress  `json:"progress"`          // of the step that is running
	Outcome  string    `json:"outcome"`           // what came of it, as far as it is known: at most a few sentences

	// Begun says when an effect was about to be caused that cannot be told from
	// the world alone. It is written before the effect, so that one that may have
	// happened already is never repeated blindly.
	Begun map[Mitigation]time.Time `json:"begun,omitempty"`
	// Restarted is what the restart did.
	Restarted *RestartResult `json:"restarted,omitempty"`
	// Rotated is when the newest live key was seen first; zero when unknown.
	Rotated    time.Time   `json:"rotated,omitzero"`
	Watch      *Watch      `json:"watch,omitempty"`      // nil: it was not watched (yet)
	Escalation *Escalation `json:"escalation,omitempty"` // the newest one; nil: nobody was called
	OnCall     string      `json:"on_call,omitempty"`    // the user group that is called when it comes to that
	Chart      string      `json:"chart,omitempty"`      // the file in the thread that shows the watch
}

// Post is a message in the incident channel.
type Post struct {
	Channel string `json:"channel"`
	TS      string `json:"ts,omitempty"`
	// Reminder and Evidence are messages in its thread, once they are posted;
	// Evidence may be several, with commas between.
	Reminder string `json:"reminder,omitempty"`
	Evidence string `json:"evidence,omitempty"`
}

// Progress tells how far the running step is; zero when it cannot tell.
type Progress struct {
	Done  int    `json:"done"`
	Total int    `json:"total"`
	Text  string `json:"text,omitempty"` // what is waited for, when nothing can be counted
}

// DecisionKind is what somebody decided.
type DecisionKind string

// Kinds of decision.
const (
	DecideApprove  DecisionKind = "approve"
	DecideDeny     DecisionKind = "deny"
	DecideWithdraw DecisionKind = "withdraw"
	// DecideBreakGlass is the requester's own: the run was approved by nobody.
	DecideBreakGlass DecisionKind = "break_glass"
	DecideStop       DecisionKind = "stop" // ended the watch early; kept in Watch.Stopped
)

var decided = map[DecisionKind]string{DecideApprove: "approved", DecideDeny: "denied", DecideWithdraw: "withdrew",
	DecideBreakGlass: "used break-glass for", DecideStop: "stopped the watch of"}

// Did says what a person did to something: "approved it".
func (k DecisionKind) Did(what string) string { return cmp.Or(decided[k], string(k)) + " " + what }

// Decision is one person's decision on one generation of a run's plan.
type Decision struct {
	By         PersonRef    `json:"by"`
	Kind       DecisionKind `json:"kind"`
	Reason     string       `json:"reason,omitempty"`
	Generation int          `json:"generation"`
	At         time.Time    `json:"at"`
	Via        Via          `json:"via"`
	Verified   string       `json:"verified,omitempty"` // as of a Run
}

// Steps of a run that are no mitigations, as receipts name them.
const (
	stepSnapshot = "snapshot"
	StepVerify   = "verify"
	StepConfirm  = "confirm"
)

// Receipt is the evidence of one executed step.
type Receipt struct {
	Step string `json:"step"`
	// Finding is what went against the expectation, for what to do next.
	Finding   ReceiptFinding `json:"finding,omitempty"`
	Status    Status         `json:"status"`
	Summary   string         `json:"summary"` // "3 old entries deleted on 3 shards, 0 left"
	Proof     []string       `json:"proof"`   // single facts that were read back
	StartedAt time.Time      `json:"started_at"`
	EndedAt   time.Time      `json:"ended_at"`
}

// Say adds a sentence to the outcome.
func (r *Run) Say(sentence string) {
	if r.Outcome != "" {
		r.Outcome += " "
	}
	r.Outcome += sentence
}

// End is the state in which the run ends by what its steps proved. What was
// confirmed last stands over what was verified before it.
func (r Run) End() State {
	var proof Status
	for _, rec := range r.Receipts {
		switch {
		case rec.Step == StepVerify || rec.Step == StepConfirm:
			proof = rec.Status
		case rec.Status == StatusFail:
			return StateFailed
		}
	}
	if proof == StatusFail {
		return StateFailed
	}
	return StateDone
}

// ReceiptFinding is what a step found that asks for another one.
type ReceiptFinding string

// Findings of receipts.
const (
	FoundNothing  ReceiptFinding = ""
	FoundLeft     ReceiptFinding = "old_entries_left"
	FoundUnlisted ReceiptFinding = "unlisted_entries_left" // the plan does not name them
	FoundStale    ReceiptFinding = "came_back_stale"
	FoundBrokeOff ReceiptFinding = "broke_off"
	FoundUnproven ReceiptFinding = "unproven" // a restart without a new execution environment
	FoundRejected ReceiptFinding = "rejected" // a sign-in that was tried
	FoundRefused  ReceiptFinding = "refused"  // for certain, so that nothing was changed
)

// Opened is when the present plan was put before the approvers.
func (r Run) Opened() time.Time {
	if r.ProposedAt.IsZero() {
		return r.CreatedAt
	}
	return r.ProposedAt
}

// Approvals returns who approved the present generation, in order.
func (r Run) Approvals() []Decision {
	var out []Decision
	for _, d := range r.Decisions {
		if d.Kind == DecideApprove && d.Generation == r.Generation {
			out = append(out, d)
		}
	}
	return out
}

// Decided returns the decision that ended or approved the run, if any.
func (r Run) Decided() (Decision, bool) {
	if len(r.Decisions) == 0 || r.State == StatePending {
		return Decision{}, false
	}
	return r.Decisions[len(r.Decisions)-1], true
}

// NextAt is when time alone changes the run: its reminder, its expiry, or the
// last moment to start. Zero when time changes nothing.
func (r Run) NextAt() time.Time {
	switch r.State {
	case StatePending:
		if !r.RemindAt.IsZero() && r.RemindAt.Before(r.ExpiresAt) {
			return r.RemindAt
		}
		return r.ExpiresAt
	case StateApproved:
		return r.StartBy
	}
	return time.Time{}
}

// ErrMoved says that a run is no longer in the state that a change expected.
var ErrMoved = errors.New("the run has moved on")

// ErrUnknownRun says that no run has the id.
var ErrUnknownRun = errors.New("no such run")

// Move changes the state if the table allows it.
func (r *Run) Move(to State, now time.Time) error {
	if !r.State.CanBecome(to) {
		return fmt.Errorf("run %s: from %q to %q: %w", r.ID, r.State, to, ErrMoved)
	}
	r.State = to
	if to.Ended() {
		r.EndedAt = now
		r.Progress = Progress{}
	}
	return nil
}

// Transition is what one executed state led to.
type Transition struct {
	From, To State
	Receipt  *Receipt    // what the state did, if it did something
	Outcome  string      // for an end
	Plan     *Plan       // a new plan that needs a new decision (To is pending)
	Fallen   []string    // ids of people whose approvals do not count any more (To is pending)
	Changes  string      // why it waits for decisions again
	Unlisted []EntryName // when the run starts: entries with old keys that the plan does not list
	More     bool        // there are more than could be read
	Watch    *Watch      // the watch as it stands now
	Alarm    *Escalation // a new escalation (To is escalate)
	Restart  *RestartResult
	Audit    []AuditEntry // written together with the change
}

// Broken is the transition of a run whose execution died in an error. If it
// may have touched something, people are called before it ends.
func (r Run) Broken(outcome string) Transition {
	t := Transition{From: r.State, To: StateFailed, Outcome: r.With(outcome)}
	if r.touched() && r.State.CanBecome(StateEscalate) && !r.Escalation.Open() {
		t.To = StateEscalate
		t.Alarm = r.NewEscalation(EscalateDied, fmt.Sprintf("A mitigation of %s broke off after it may have changed something: %s", r.Target, outcome), time.Time{})
	}
	return t
}

// touched says that something may have been changed in this state or before.
func (r Run) touched() bool {
	switch r.State {
	case StateFlush, StateVerify, StateRestart, StateGateway, StateConfirm, StateWatch, StateRestore:
		return true
	}
	return false
}

// Due is when the present state wants to be executed; zero: at once.
func (r Run) Due() time.Time {
	if r.State == StateWatch && r.Watch != nil {
		return r.Watch.NextAt
	}
	return time.Time{}
}

// Apply carries out a transition on a run that must still be in its From state.
func (r *Run) Apply(t Transition, now time.Time) error {
	if r.State != t.From {
		return fmt.Errorf("run %s: is %q, not %q: %w", r.ID, r.State, t.From, ErrMoved)
	}
	if err := r.Move(t.To, now); err != nil {
		return err
	}
	if t.From == StateApproved && t.To.Holds() {
		r.StartedAt = now
	}
	if t.Receipt != nil {
		r.Receipts = append(r.Receipts, *t.Receipt)
	}
	if t.Outcome != "" {
		r.Outcome = t.Outcome
	}
	if t.Plan != nil {
		r.Propose(*t.Plan, t.Changes, now)
	}
	if len(t.Unlisted) > 0 || t.More {
		r.Unlisted, r.UnlistedMore = t.Unlisted, t.More
	}
	if len(t.Fallen) > 0 {
		r.Reopen(t.Fallen, t.Changes, now)
	}
	if t.Watch != nil {
		r.Watch = t.Watch
	}
	if t.Alarm != nil {
		r.Escalation = t.Alarm
		if r.Escalation.At.IsZero() {
			r.Escalation.At = now
		}
	}
	if t.Restart != nil {
		r.Restarted = t.Restart
	}
	r.Progress = Progress{}
	return nil
}

// Propose puts a new plan before the approvers; what was decided before does
// not count for it, and they have the whole time to decide again.
func (r *Run) Propose(p Plan, why string, now time.Time) {
	window := r.ExpiresAt.Sub(r.Opened())
	r.Changes = why
	r.ProposedAt, r.ExpiresAt, r.RemindAt = now, now.Add(window), now.Add(window/2)
	r.Plan = p
	r.Resource, r.Locks = p.Resource, p.Locks()
	r.Generation++
	r.ApprovedAt, r.StartBy = time.Time{}, time.Time{}
}
