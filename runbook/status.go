package runbook

import "strings"

// Status is how a step ended.
type Status string

// Statuses of a step.
const (
	StatusOK      Status = "ok"
	StatusWarn    Status = "warn"    // worth a look, does not explain an incident
	StatusFail    Status = "fail"    // it found a fault, or did not reach its effect
	StatusError   Status = "error"   // it could not be carried out
	StatusSkipped Status = "skipped" // not configured
)

// VerdictID is the stable id of a verdict or finding.
type VerdictID string

// words are the id as part of a sentence.
func (id VerdictID) words() string { return strings.ReplaceAll(string(id), "_", " ") }
