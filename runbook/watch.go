package runbook

import "time"

// WatchPolicy says how long a target is watched after a mitigation, and when
// people are called.
type WatchPolicy struct {
	For time.Duration // 0: it is not watched
	// Ratio is the share of failing requests that is too much, and Over for how
	// long it must be exceeded: above 0.1 for more than 10 minutes, say.
	Ratio       float64
	Over        time.Duration
	MinRequests float64 // quieter minutes are pooled until they hold this many
	UserGroup   string  // who is called in the channel; "" when nobody is named
}

// WatchVerdict is what the minutes of a watch say together.
type WatchVerdict string

// Verdicts of a watch.
const (
	WatchOpen   WatchVerdict = "watching" // too early to say
	WatchCalm   WatchVerdict = "calm"     // failures stayed at or below the limit
	WatchBreach WatchVerdict = "breach"   // above the limit for too long, and still
	WatchBlind  WatchVerdict = "could_not_tell"
	// WatchSuperseded: another run changed the target since and is watched instead.
	WatchSuperseded WatchVerdict = "superseded"
)

// Watch is the observation after the last mitigation of a run.
type Watch struct {
	Since   time.Time    `json:"since"` // the end of the last mitigation
	Until   time.Time    `json:"until"` // the last minute that is looked at ends here
	NextAt  time.Time    `json:"next_at"`
	Before  []RatioPoint `json:"before"` // the minutes before the mitigation
	Points  []RatioPoint `json:"points"` // the complete minutes since, oldest first; one that could not be read is absent
	Verdict WatchVerdict `json:"verdict"`
	Limit   float64      `json:"limit"` // the share of failures that is too much
	// Text is the line that tells how it stands, Note what the sources cannot
	// tell; both change with every minute.
	Text    string    `json:"text"`
	Note    string    `json:"note,omitempty"`
	EndedAt time.Time `json:"ended_at,omitzero"`
	// Stopped is who ended it early, and why.
	Stopped *Decision `json:"stopped,omitempty"`
}
