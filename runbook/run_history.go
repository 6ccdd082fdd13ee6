package runbook

import (
	"slices"
	"strings"
	"time"
)

// Findings are what the newest receipt of each step found.
func (r Run) Findings() []ReceiptFinding {
	latest := map[string]ReceiptFinding{}
	var order []string
	for _, rec := range r.Receipts {
		step := rec.Step
		if step == StepConfirm {
			step = StepVerify // it looked again
			if rec.Finding == FoundNothing && !r.lookedAgain() {
				continue
			}
		}
		if _, known := latest[step]; !known {
			order = append(order, step)
		}
		latest[step] = rec.Finding
	}
	var out []ReceiptFinding
	for _, step := range order {
		if f := latest[step]; f != FoundNothing {
			out = append(out, f)
		}
	}
	return out
}

// lookedAgain says that the confirmation read the cache once more.
func (r Run) lookedAgain() bool {
	return r.Plan.Has(FlushCache) && (r.Plan.Restart != nil || r.Plan.Gateway != nil)
}

// With is the outcome with one more sentence.
func (r Run) With(sentence string) string {
	return strings.TrimSpace(r.Outcome + " " + sentence)
}

// EffectAt is when the last mitigation of the run ended; zero if there was none.
func (r Run) EffectAt() time.Time {
	var at time.Time
	for _, rec := range r.Receipts {
		if rec.Finding == FoundRefused {
			continue
		}
		switch Mitigation(rec.Step) {
		case FlushCache, RestartAuthoriser, FlushGateway, RestoreCache:
			at = rec.EndedAt
		}
	}
	return at
}

// Reopen lets the run wait for approvals again, since those of some people do
// not count any more. The others stand: the plan is the same.
func (r *Run) Reopen(lost []string, why string, now time.Time) {
	kept := slices.DeleteFunc(r.Approvals(), func(a Decision) bool { return slices.Contains(lost, a.By.ID) })
	r.Propose(r.Plan, why, now)
	for _, a := range kept {
		a.Generation = r.Generation
		r.Decisions = append(r.Decisions, a)
	}
}

// FlushedAt is when the run's flush ended, if it deleted anything.
func (r Run) FlushedAt() (time.Time, bool) {
	for _, rec := range r.Receipts {
		if rec.Step == string(FlushCache) && rec.Finding != FoundRefused {
			return rec.EndedAt, true
		}
	}
	return time.Time{}, false
}
