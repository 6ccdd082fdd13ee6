package runbook

// Verdicts: the one finding that explains an incident.
const (
	Healthy           VerdictID = "healthy"
	StaleCache        VerdictID = "stale_cache"
	RekeyedKid        VerdictID = "rekeyed_kid"
	PoisonedCache     VerdictID = "poisoned_cache"
	NegativeCache     VerdictID = "negative_cache"
	StaleMemory       VerdictID = "stale_memory"
	RetiredKeyCached  VerdictID = "retired_key_cached"
	LiveUnhealthy     VerdictID = "live_unhealthy"
	LiveDisagrees     VerdictID = "live_disagrees"
	UnknownIssuer     VerdictID = "unknown_issuer"
	UnknownKids       VerdictID = "unknown_kids"
	ClaimsOrClock     VerdictID = "claims_or_clock"
	RefetchThrottled  VerdictID = "refetch_throttled"
	UnsupportedKey    VerdictID = "unsupported_key"
	MetadataChanged   VerdictID = "metadata_changed"
	CacheUnreadable   VerdictID = "cache_unreadable"
	Inconclusive      VerdictID = "inconclusive"
	ColdCache         VerdictID = "cold_cache"
	LiveUnreachable   VerdictID = "live_unreachable"
	PrivatePublished  VerdictID = "private_key_published"
	SymmetricInSet    VerdictID = "symmetric_key_published"
	DuplicateKid      VerdictID = "duplicate_kid"
	WeakKey           VerdictID = "weak_key"
	NoExpiryFinding   VerdictID = "no_expiry"
	SharedCache       VerdictID = "shared_cache"
	Reencoded         VerdictID = "reencoded"
	RemovedTooEarly   VerdictID = "removed_too_early"
	GatewayResults    VerdictID = "gateway_result_cache"
	ManagedAuthoriser VerdictID = "managed_jwt_authoriser"
)

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

// Forbids says that a flush is refused outright, whatever override is given:
// without a sound live key set it would destroy the last good copy.
func (v Verdict) Forbids() bool { return v.ID == LiveUnhealthy || v.ID == LiveDisagrees }

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
