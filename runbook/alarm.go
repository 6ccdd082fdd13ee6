package runbook

import "time"

// Alarm is what the on-call team is told when failures persist.
type Alarm struct {
	Key      string // the same for one run for ever: repeated, it is one incident
	Run      string
	Target   string
	Ticket   string
	Summary  string   // one sentence: what is wrong, since when, how bad
	Evidence []string // lines; redacted
	At       time.Time
}

// CanaryResult is what became of one sign-in that was tried for proof.
type CanaryResult struct {
	Accepted bool
	Status   int    // of the protected URL
	Kid      string // of the token that was used
	Text     string // one sentence
	Duration time.Duration
}
