package runbook

import "strings"

// Severity orders findings for people.
type Severity string

// Severities.
const (
	SeverityInfo     Severity = "info"
	SeverityWarning  Severity = "warning"
	SeverityCritical Severity = "critical"
)

// Finding is one fact that the evidence shows.
type Finding struct {
	ID       VerdictID `json:"id"`
	Severity Severity  `json:"severity"`
	Summary  string    `json:"summary"`
}

// Mitigation names a step that changes something.
type Mitigation string

// Mitigations of the runbook.
const (
	FlushCache        Mitigation = "flush-cache"
	RestartAuthoriser Mitigation = "restart-authoriser"
	FlushGateway      Mitigation = "flush-gateway"
	// RestoreCache undoes a flush. No verdict calls for it: people do.
	RestoreCache Mitigation = "restore"
)

// Advice is a mitigation that would not help or would do harm, and why.
type Advice struct {
	Mitigation Mitigation `json:"mitigation"`
	Reason     string     `json:"reason"`
}

// Verdict is the finding that explains the incident, and what follows from it.
type Verdict struct {
	Finding
	Because     []string     // the evidence it rests on
	Recommended []Mitigation // in order
	Against     []Advice
	WouldChange string // what would change its mind
	// Stranded are kids whose last copy a flush would remove although tokens
	// signed with them may still be valid: a hard cut. HardCut says it in half a
	// sentence, with until when.
	Stranded []string
	HardCut  string
}

// Advises says whether a mitigation is among the recommended ones.
func (v Verdict) Advises(m Mitigation) bool {
	for _, r := range v.Recommended {
		if r == m {
			return true
		}
	}
	return false
}

// Objection is why a mitigation goes against the verdict, "" if it does not.
func (v Verdict) Objection(m Mitigation) string {
	for _, a := range v.Against {
		if a.Mitigation == m {
			return a.Reason
		}
	}
	if !v.Advises(m) {
		return "the verdict " + string(v.ID) + " does not call for it"
	}
	return ""
}

// Diagnosis is all that the evidence shows.
type Diagnosis struct {
	Verdict  Verdict
	Findings []Finding // the verdict's own first
}

// Has says whether a finding is among the findings.
func (d Diagnosis) Has(id VerdictID) bool {
	for _, f := range d.Findings {
		if f.ID == id {
			return true
		}
	}
	return false
}

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

// Words are the id as part of a sentence.
func (id VerdictID) Words() string { return strings.ReplaceAll(string(id), "_", " ") }
