package record

import (
	"fmt"
	"slices"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/redact"
)

// Timeline is the record of a run for a review after the incident: what was
// wrong, who did what and when, what was proven and what was not. It is made
// from the run and its audit rows alone, so that it can be made again at any
// time; Markdown writes it for people.
type Timeline struct {
	Run        string            `json:"run"`
	Target     string            `json:"target"`
	Resource   string            `json:"resource"`
	Ticket     string            `json:"ticket"`
	Reason     string            `json:"reason"`
	Override   string            `json:"override,omitempty"`
	BreakGlass string            `json:"break_glass,omitempty"`
	State      runbook.State     `json:"state"`
	Verdict    runbook.VerdictID `json:"verdict"`
	Summary    string            `json:"summary"` // the verdict's sentence
	Outcome    string            `json:"outcome"`

	RequestedAt time.Time `json:"requested_at"`
	ApprovedAt  time.Time `json:"approved_at,omitzero"`
	EffectAt    time.Time `json:"effect_at,omitzero"` // the end of the last mitigation
	EndedAt     time.Time `json:"ended_at,omitzero"`  // zero: it is not over

	Plan     []string          `json:"plan"` // what was approved, a line each
	Digest   string            `json:"digest"`
	People   []TimelinePerson  `json:"people"`
	Events   []TimelineEvent   `json:"events"`
	Receipts []runbook.Receipt `json:"receipts"`
	Ratios   []TimelineRatio   `json:"ratios"`
	Unproven []string          `json:"unproven"` // what nobody may take for granted
	Undone   []string          `json:"undone"`   // runs that wrote back what this one deleted
	Chart    string            `json:"chart,omitempty"`
}

// TimelinePerson is one human and what they did.
type TimelinePerson struct {
	runbook.PersonRef
	Did string `json:"did"` // "requested it", "approved it"
}

// TimelineEvent is one moment.
type TimelineEvent struct {
	At   time.Time `json:"at"`
	Who  string    `json:"who"` // a person's name, or "jwksbot"
	What string    `json:"what"`
}

// TimelineRatio is the share of failures over a span of minutes.
type TimelineRatio struct {
	Label    string  `json:"label"`
	Minutes  int     `json:"minutes"` // with data
	Missing  int     `json:"missing"` // without
	Failures float64 `json:"failures"`
	Requests float64 `json:"requests"`
}

// TimelineSources are what a timeline is made from besides the run.
type TimelineSources struct {
	Rows   []runbook.AuditEntry // of the run; others are left out
	Undone []runbook.Run        // runs whose plan restores this one
	Chart  string               // file name of the picture; "" without one
}

// NewTimeline puts the record of a run together. Everything in it is redacted.
func NewTimeline(run runbook.Run, from TimelineSources) Timeline {
	t := Timeline{Run: run.ID, Target: run.Target, Resource: run.Resource, Ticket: redact.Text(run.Ticket), Reason: redact.Text(run.Reason),
		Override: redact.Text(run.Override), BreakGlass: redact.Text(run.BreakGlass), State: run.State, Verdict: run.Plan.Verdict,
		Summary: redact.Text(run.Plan.Summary), Outcome: redact.Text(run.Outcome), RequestedAt: run.CreatedAt, ApprovedAt: run.ApprovedAt,
		EndedAt: run.EndedAt, Digest: run.Plan.Digest, Chart: from.Chart,
		Plan: []string{}, People: []TimelinePerson{}, Receipts: []runbook.Receipt{}, Ratios: []TimelineRatio{}, Undone: []string{}}
	for _, r := range run.Receipts {
		t.Receipts = append(t.Receipts, redactedReceipt(r))
		if timelineEffects[r.Step] {
			t.EffectAt = r.EndedAt
		}
	}
	for _, u := range from.Undone {
		t.Undone = append(t.Undone, fmt.Sprintf("%s (%s, requested by %s)", u.ID, u.State, u.Requester.Label()))
	}
	t.Plan = timelinePlan(run.Plan)
	t.People = timelinePeople(run)
	t.Events = timelineEvents(run, from)
	t.Ratios = timelineRatios(run.Watch)
	t.Unproven = timelineUnproven(run)
	return t
}

// timelineEffects are the steps after which the world is another one.
var timelineEffects = map[string]bool{string(runbook.FlushCache): true, string(runbook.RestartAuthoriser): true, string(runbook.FlushGateway): true, string(runbook.RestoreCache): true}

func redactedReceipt(r runbook.Receipt) runbook.Receipt {
	r.Summary = redact.Text(r.Summary)
	proof := make([]string, len(r.Proof))
	for i, p := range r.Proof {
		proof[i] = redact.Text(p)
	}
	r.Proof = proof
	return r
}

// timelineEntries is how many cache entries are named; a record is read by
// people.
const timelineEntries = 20

func timelinePlan(p runbook.Plan) []string {
	out := []string{}
	add := func(format string, args ...any) { out = append(out, redact.Text(fmt.Sprintf(format, args...))) }
	for _, l := range p.Lines() {
		if len(l.Entries) == 0 {
			add("%s", l.Plain(timelineEntries))
			continue
		}
		add("%s", l.Sentence())
		for i, e := range l.Entries {
			if i == timelineEntries {
				add("… and %s more", runbook.Thousands(int64(len(l.Entries)-i)))
				break
			}
			add("entry %s", e.Text())
		}
	}
	if p.Advice != "" {
		add("against the verdict's advice: %s", p.Advice)
	}
	return out
}

// timelinePeople lists each deed once, in the order of the run.
func timelinePeople(run runbook.Run) []TimelinePerson {
	out := []TimelinePerson{{run.Requester, "requested it via " + string(run.Via)}}
	for _, d := range run.Decisions {
		out = append(out, TimelinePerson{d.By, timelineDid(d)})
	}
	if w := run.Watch; w != nil && w.Stopped != nil {
		out = append(out, TimelinePerson{w.Stopped.By, "stopped the watch"})
	}
	if e := run.Escalation; e != nil {
		if e.By.ID != "" {
			out = append(out, TimelinePerson{e.By, "escalated it"})
		}
		if e.Taken() {
			out = append(out, TimelinePerson{e.TakenBy, "took the escalation over"})
		}
	}
	return slices.Compact(out)
}

func timelineDid(d runbook.Decision) string {
	did := d.Kind.Did("it") + " via " + string(d.Via)
	if d.Kind == runbook.DecideBreakGlass {
		did += ": nobody else was asked"
	}
	return did
}

// timelineRatios sums minutes up: before, then five by five.
func timelineRatios(w *runbook.Watch) []TimelineRatio {
	out := []TimelineRatio{}
	if w == nil {
		return out
	}
	if len(w.Before) > 0 {
		first, last := w.Before[0].At, w.Before[len(w.Before)-1].At
		out = append(out, timelineRatio("before the mitigation", w.Before, first, last.Add(time.Minute)))
	}
	end := w.Until
	if n := len(w.Points); n > 0 && !w.EndedAt.IsZero() && w.Points[n-1].At.Add(time.Minute).Before(end) {
		end = w.Points[n-1].At.Add(time.Minute) // stopped early: what was not waited for is not missing
	}
	begin := w.Since.Truncate(time.Minute)
	if len(w.Points) > 0 && w.Points[0].At.Before(begin.Add(2*time.Minute)) {
		begin = w.Points[0].At
	}
	const block = 5 * time.Minute
	for from := begin; from.Before(end) && len(w.Points) > 0; from = from.Add(block) {
		to := from.Add(block)
		if to.After(end) {
			to = end
		}
		label := fmt.Sprintf("minutes %d to %d after", int(from.Sub(begin).Minutes())+1, int(to.Sub(begin).Minutes()))
		out = append(out, timelineRatio(label, w.Points, from, to))
	}
	return out
}

func timelineRatio(label string, points []runbook.RatioPoint, from, to time.Time) TimelineRatio {
	r := TimelineRatio{Label: label}
	for _, p := range points {
		if !p.At.Before(from) && p.At.Before(to) {
			r.Minutes++
			r.Failures += p.Failures
			r.Requests += p.Requests
		}
	}
	r.Missing = max(0, int(to.Sub(from).Minutes())-r.Minutes)
	return r
}
