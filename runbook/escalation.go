package runbook

import (
	"fmt"
	"time"
)

// EscalationKind is what people are called for.
type EscalationKind string

// Kinds of escalation.
const (
	EscalateBreach EscalationKind = "breach"         // failures persist above the limit
	EscalateBlind  EscalationKind = "could_not_tell" // nobody can say whether they do; people are asked to look, no pager goes off
	EscalateDied   EscalationKind = "died"           // the execution broke off after it may have touched something
	EscalateAsked  EscalationKind = "asked"          // a person asked for it
)

// Escalation is one call for the on-call team. There is one for each breach.
type Escalation struct {
	Kind EscalationKind `json:"kind"`
	N    int            `json:"n"` // 1 for the first of the run
	At   time.Time      `json:"at"`
	Why  string         `json:"why"` // one sentence
	// Evidence are the lines that the call carries.
	Evidence []string  `json:"evidence"`
	Ratio    float64   `json:"ratio,omitempty"`   // of the last pooled point
	Minutes  int       `json:"minutes,omitempty"` // above the limit, one after the other
	Group    string    `json:"group,omitempty"`   // the user group that is called in the channel
	By       PersonRef `json:"by,omitzero"`       // who asked for it

	Pinged    string    `json:"pinged,omitempty"` // the message that called the group
	Paged     time.Time `json:"paged,omitzero"`   // when the paging service took it
	Resolved  time.Time `json:"resolved,omitzero"`
	Begun     time.Time `json:"begun,omitzero"` // written before it is published
	Published time.Time `json:"published,omitzero"`
	Message   string    `json:"message,omitempty"` // its id at the subscription service
	Notes     []string  `json:"notes,omitempty"`   // what could not be done

	TakenBy PersonRef `json:"taken_by,omitzero"`
	TakenAt time.Time `json:"taken_at,omitzero"`
}

// Taken says that somebody said "got it".
func (e *Escalation) Taken() bool { return e != nil && !e.TakenAt.IsZero() }

// Open says that the team was called and the cause has not gone.
func (e *Escalation) Open() bool { return e != nil && e.Resolved.IsZero() }

// Breach says that the team was called for failures that have not gone.
func (e *Escalation) Breach() bool { return e.Open() && e.Kind == EscalateBreach }

// NewEscalation calls people for the run.
func (r Run) NewEscalation(kind EscalationKind, why string, now time.Time) *Escalation {
	e := &Escalation{Kind: kind, N: 1, At: now, Why: why, Group: r.OnCall, Evidence: r.alarmEvidence()}
	if r.Escalation != nil {
		e.N = r.Escalation.N + 1
	}
	return e
}

// alarmEvidence is what every call says of the run.
func (r Run) alarmEvidence() []string {
	out := []string{fmt.Sprintf("run %s, ticket %s, requested by %s", r.ID, r.Ticket, r.Requester.Label())}
	if r.Plan.Summary != "" {
		out = append(out, "verdict at the request: "+r.Plan.Summary)
	}
	for _, rec := range r.Receipts {
		out = append(out, fmt.Sprintf("%s at %s: %s", rec.Step, rec.EndedAt.UTC().Format("15:04:05 MST"), rec.Summary))
	}
	return out
}
