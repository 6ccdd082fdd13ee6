package check

import (
	"encoding/json"
	"fmt"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/diagnose"
)

// Report is the result of one check of a target: everything that is shown,
// printed or kept is rendered from it.
type Report struct {
	Target    string
	JWKSURL   string
	Question  Question
	Steps     []Result // in the order of the checks
	Evidence  runbook.Evidence
	Diagnosis runbook.Diagnosis
	StartedAt time.Time
	Duration  time.Duration
	// Shared says that the report was made for somebody else, less than half a
	// minute before.
	Shared bool
}

// judge brings the status of single steps in line with the verdict, which
// knows what a step alone cannot: that cached keys are old, for instance.
func (r *Report) judge() {
	for i := range r.Steps {
		s := &r.Steps[i]
		switch {
		case s.Step == runbook.StepCachedKeys && s.Evidence.Cached != nil:
			s.judgeCache(diagnose.Gather(r.Evidence))
		case s.Step == runbook.StepLoggedKeys && s.Status == runbook.StatusFail && r.Diagnosis.Verdict.ID == diagnose.Healthy:
			s.Status = runbook.StatusWarn // an ordinary trickle
		}
	}
}

func (s *Result) judgeCache(f *diagnose.Facts) {
	for _, c := range f.All() {
		switch {
		case len(c.Rekeyed) > 0:
			s.Status, s.Summary = runbook.StatusFail, fmt.Sprintf("%s; %s another key under live kid %s", s.Summary, c.Says("holds", "hold"), runbook.Quote(c.Rekeyed[0].Kid))
			return
		case c.Entry.Name != "" && len(c.Lost()) > 0:
			s.Status, s.Summary = runbook.StatusFail, fmt.Sprintf("%s; %s lacks live key %s", s.Summary, c.Name(), runbook.QuoteAll(diagnose.KidsOf(c.Lost())))
			return
		case len(c.Retired) > 0 && s.Status == runbook.StatusOK:
			s.Status, s.Summary = runbook.StatusWarn, fmt.Sprintf("%s; retired key %s is still cached", s.Summary, runbook.QuoteAll(diagnose.KidsOf(c.Retired)))
		}
	}
	for _, e := range f.Own {
		if e.Reading.Content == runbook.ContentPoison {
			s.Status = runbook.StatusFail
		}
	}
	if s.Status == runbook.StatusOK && f.AllSame() {
		s.Summary += ", all live"
	}
}

// ExitCode is the answer of the report to a shell: 0 healthy, 1 a problem was
// found, 2 could not tell.
func (r Report) ExitCode() int {
	switch r.Diagnosis.Verdict.ID {
	case diagnose.Healthy:
		return 0
	case diagnose.Inconclusive, diagnose.CacheUnreadable:
		return 2
	}
	return 1
}

// The JSON of a report is stable: members are added, never renamed.
type (
	reportJSON struct {
		Target      string               `json:"target"`
		Verdict     runbook.VerdictID    `json:"verdict"`
		Summary     string               `json:"summary"`
		Recommended []runbook.Mitigation `json:"recommended"`
		Against     []runbook.Advice     `json:"against"`
		Because     []string             `json:"because"`
		WouldChange string               `json:"would_change"`
		Stranded    []string             `json:"stranded"`
		HardCut     string               `json:"hard_cut"` // what a flush strands, and until when; "" when nothing
		Findings    []runbook.Finding    `json:"findings"`
		Steps       []stepJSON           `json:"steps"`
		Keys        keysJSON             `json:"keys"`
		Failures    failuresJSON         `json:"failures"`
		Gateway     gatewayJSON          `json:"gateway"`
		Authoriser  functionJSON         `json:"authoriser"`
		StartedAt   time.Time            `json:"started_at"`
		DurationMS  int64                `json:"duration_ms"`
	}
	stepJSON struct {
		Name       string         `json:"name"`
		Status     runbook.Status `json:"status"`
		Summary    string         `json:"summary"`
		DurationMS int64          `json:"duration_ms"`
	}
	keysJSON struct {
		Live   []runbook.Key      `json:"live"`
		Cached []entryJSON        `json:"cached"`
		Logged []runbook.KidCount `json:"logged"`
	}
	entryJSON struct {
		Entry      string        `json:"entry"`
		Format     string        `json:"format"`
		TTLSeconds int64         `json:"ttl_seconds"` // -1: never expires
		Keys       []runbook.Key `json:"keys"`
		Foreign    string        `json:"foreign"`
		Note       string        `json:"note"`
	}
	failuresJSON struct {
		Count   int            `json:"count"`
		AtLeast bool           `json:"at_least"`
		Classes map[string]int `json:"classes"`
	}
)

// MarshalJSON writes the stable form of spec section 9; lists are never null.
func (r Report) MarshalJSON() ([]byte, error) {
	v := r.Diagnosis.Verdict
	out := reportJSON{
		Target: r.Target, Verdict: v.ID, Summary: v.Summary, WouldChange: v.WouldChange, HardCut: v.HardCut,
		Recommended: NonNil(v.Recommended), Against: NonNil(v.Against), Because: NonNil(v.Because), Stranded: NonNil(v.Stranded),
		Findings: NonNil(r.Diagnosis.Findings), Steps: []stepJSON{},
		Keys:     keysJSON{Live: []runbook.Key{}, Cached: []entryJSON{}, Logged: []runbook.KidCount{}},
		Failures: failuresJSON{Classes: map[string]int{}},
		Gateway:  printGateway(r.Evidence.Gateway), Authoriser: printFunction(r.Evidence.Function),
		StartedAt: r.StartedAt, DurationMS: r.Duration.Milliseconds(),
	}
	for _, s := range r.Steps {
		out.Steps = append(out.Steps, stepJSON{s.Step, s.Status, s.Summary, s.Duration.Milliseconds()})
	}
	out.evidence(r.Evidence)
	return json.Marshal(out)
}

func (out *reportJSON) evidence(e runbook.Evidence) {
	if set, ok := e.Live.Set(); ok {
		out.Keys.Live = NonNil(set.Keys)
	}
	if e.Cached != nil {
		for _, c := range e.Cached.Entries {
			out.Keys.Cached = append(out.Keys.Cached, entryJSON{runbook.EntryName(c.Name).String(), c.Reading.Format, ttlSeconds(c), NonNil(c.Reading.Set.Keys), c.Foreign, c.Reading.Note})
		}
	}
	if e.Logged != nil {
		out.Keys.Logged = NonNil(e.Logged.Kids)
		out.Failures = failuresJSON{e.Logged.Count, e.Logged.AtLeast, e.Logged.Classes}
		if out.Failures.Classes == nil {
			out.Failures.Classes = map[string]int{}
		}
	}
}

func ttlSeconds(e runbook.Entry) int64 {
	if e.TTL == runbook.NoExpiry {
		return -1
	}
	return int64(e.TTL / time.Second)
}

// NonNil makes a nil list an empty one.
func NonNil[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// Question is what a check is asked about: a window of time and, if somebody
// named one, a single kid.
type Question struct {
	Since, Until time.Time
	Kid          string
}

// Result is what one check has to say.
type Result struct {
	Step     string
	Status   runbook.Status
	Summary  string // one line for people
	Duration time.Duration
	Evidence runbook.Evidence
}
