package runbook

import (
	"encoding/json"
	"fmt"
	"time"
)

// Report is the result of one check of a target: everything that is shown,
// printed or kept is rendered from it.
type Report struct {
	Target    string
	JWKSURL   string
	Question  Question
	Steps     []Result // in the order of the checks
	Evidence  Evidence
	Diagnosis Diagnosis
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
		case s.Step == StepCachedKeys && s.Evidence.Cached != nil:
			s.judgeCache(gather(r.Evidence))
		case s.Step == StepLoggedKeys && s.Status == StatusFail && r.Diagnosis.Verdict.ID == Healthy:
			s.Status = StatusWarn // an ordinary trickle
		}
	}
}

func (s *Result) judgeCache(f *facts) {
	for _, c := range f.all() {
		switch {
		case len(c.rekeyed) > 0:
			s.Status, s.Summary = StatusFail, fmt.Sprintf("%s; %s another key under live kid %s", s.Summary, c.says("holds", "hold"), quote(c.rekeyed[0].Kid))
			return
		case c.entry.Name != "" && len(c.lost()) > 0:
			s.Status, s.Summary = StatusFail, fmt.Sprintf("%s; %s lacks live key %s", s.Summary, c.name(), quoteAll(kidsOf(c.lost())))
			return
		case len(c.retired) > 0 && s.Status == StatusOK:
			s.Status, s.Summary = StatusWarn, fmt.Sprintf("%s; retired key %s is still cached", s.Summary, quoteAll(kidsOf(c.retired)))
		}
	}
	for _, e := range f.own {
		if e.Reading.Content == ContentPoison {
			s.Status = StatusFail
		}
	}
	if s.Status == StatusOK && f.allSame() {
		s.Summary += ", all live"
	}
}

// ExitCode is the answer of the report to a shell: 0 healthy, 1 a problem was
// found, 2 could not tell.
func (r Report) ExitCode() int {
	switch r.Diagnosis.Verdict.ID {
	case Healthy:
		return 0
	case Inconclusive, CacheUnreadable:
		return 2
	}
	return 1
}

// The JSON of a report is stable: members are added, never renamed.
type (
	reportJSON struct {
		Target      string       `json:"target"`
		Verdict     VerdictID    `json:"verdict"`
		Summary     string       `json:"summary"`
		Recommended []Mitigation `json:"recommended"`
		Against     []Advice     `json:"against"`
		Because     []string     `json:"because"`
		WouldChange string       `json:"would_change"`
		Stranded    []string     `json:"stranded"`
		HardCut     string       `json:"hard_cut"` // what a flush strands, and until when; "" when nothing
		Findings    []Finding    `json:"findings"`
		Steps       []stepJSON   `json:"steps"`
		Keys        keysJSON     `json:"keys"`
		Failures    failuresJSON `json:"failures"`
		Gateway     gatewayJSON  `json:"gateway"`
		Authoriser  functionJSON `json:"authoriser"`
		StartedAt   time.Time    `json:"started_at"`
		DurationMS  int64        `json:"duration_ms"`
	}
	stepJSON struct {
		Name       string `json:"name"`
		Status     Status `json:"status"`
		Summary    string `json:"summary"`
		DurationMS int64  `json:"duration_ms"`
	}
	keysJSON struct {
		Live   []Key       `json:"live"`
		Cached []entryJSON `json:"cached"`
		Logged []KidCount  `json:"logged"`
	}
	entryJSON struct {
		Entry      string `json:"entry"`
		Format     string `json:"format"`
		TTLSeconds int64  `json:"ttl_seconds"` // -1: never expires
		Keys       []Key  `json:"keys"`
		Foreign    string `json:"foreign"`
		Note       string `json:"note"`
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
		Recommended: list(v.Recommended), Against: list(v.Against), Because: list(v.Because), Stranded: list(v.Stranded),
		Findings: list(r.Diagnosis.Findings), Steps: []stepJSON{},
		Keys:     keysJSON{Live: []Key{}, Cached: []entryJSON{}, Logged: []KidCount{}},
		Failures: failuresJSON{Classes: map[string]int{}},
		Gateway:  r.Evidence.Gateway.printed(), Authoriser: r.Evidence.Function.printed(),
		StartedAt: r.StartedAt, DurationMS: r.Duration.Milliseconds(),
	}
	for _, s := range r.Steps {
		out.Steps = append(out.Steps, stepJSON{s.Step, s.Status, s.Summary, s.Duration.Milliseconds()})
	}
	out.evidence(r.Evidence)
	return json.Marshal(out)
}

func (out *reportJSON) evidence(e Evidence) {
	if set, ok := e.Live.Set(); ok {
		out.Keys.Live = list(set.Keys)
	}
	if e.Cached != nil {
		for _, c := range e.Cached.Entries {
			out.Keys.Cached = append(out.Keys.Cached, entryJSON{EntryName(c.Name).String(), c.Reading.Format, c.ttlSeconds(), list(c.Reading.Set.Keys), c.Foreign, c.Reading.Note})
		}
	}
	if e.Logged != nil {
		out.Keys.Logged = list(e.Logged.Kids)
		out.Failures = failuresJSON{e.Logged.Count, e.Logged.AtLeast, e.Logged.Classes}
		if out.Failures.Classes == nil {
			out.Failures.Classes = map[string]int{}
		}
	}
}

func (e Entry) ttlSeconds() int64 {
	if e.TTL == NoExpiry {
		return -1
	}
	return int64(e.TTL / time.Second)
}

// list makes a nil list an empty one.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}
