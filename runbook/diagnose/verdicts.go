package diagnose

import "jwksbot/runbook"

// rules in the order of precedence; the last one always fits.
var rules = []func(*Facts) (runbook.Verdict, bool){
	(*Facts).liveUnhealthy,
	(*Facts).liveDisagrees,
	(*Facts).managed,
	(*Facts).unsupportedKey,
	(*Facts).rekeyedKid,
	(*Facts).poisonedCache,
	(*Facts).negativeCache,
	(*Facts).staleCache,
	(*Facts).cacheUnreadable,
	(*Facts).refetchThrottled,
	(*Facts).removedTooEarly,
	(*Facts).notAskedFor,
	(*Facts).staleMemory,
	(*Facts).gatewayResults,
	(*Facts).unknownIssuer,
	(*Facts).unknownKids,
	(*Facts).noKid,
	(*Facts).ambiguousKid,
	(*Facts).claimsOrClock,
	(*Facts).longExpired,
	(*Facts).deniedUnexplained,
	(*Facts).retiredKeyCached,
	(*Facts).metadataChanged,
	(*Facts).healthy,
	(*Facts).liveUnknown,
	(*Facts).cacheUnknown,
	(*Facts).inconclusive,
}

// Verdicts: the one finding that explains an incident.
const (
	Healthy           runbook.VerdictID = "healthy"
	StaleCache        runbook.VerdictID = "stale_cache"
	RekeyedKid        runbook.VerdictID = "rekeyed_kid"
	PoisonedCache     runbook.VerdictID = "poisoned_cache"
	NegativeCache     runbook.VerdictID = "negative_cache"
	StaleMemory       runbook.VerdictID = "stale_memory"
	RetiredKeyCached  runbook.VerdictID = "retired_key_cached"
	LiveUnhealthy     runbook.VerdictID = "live_unhealthy"
	LiveDisagrees     runbook.VerdictID = "live_disagrees"
	UnknownIssuer     runbook.VerdictID = "unknown_issuer"
	UnknownKids       runbook.VerdictID = "unknown_kids"
	ClaimsOrClock     runbook.VerdictID = "claims_or_clock"
	RefetchThrottled  runbook.VerdictID = "refetch_throttled"
	UnsupportedKey    runbook.VerdictID = "unsupported_key"
	MetadataChanged   runbook.VerdictID = "metadata_changed"
	CacheUnreadable   runbook.VerdictID = "cache_unreadable"
	Inconclusive      runbook.VerdictID = "inconclusive"
	ColdCache         runbook.VerdictID = "cold_cache"
	LiveUnreachable   runbook.VerdictID = "live_unreachable"
	PrivatePublished  runbook.VerdictID = "private_key_published"
	SymmetricInSet    runbook.VerdictID = "symmetric_key_published"
	DuplicateKid      runbook.VerdictID = "duplicate_kid"
	WeakKey           runbook.VerdictID = "weak_key"
	NoExpiryFinding   runbook.VerdictID = "no_expiry"
	SharedCache       runbook.VerdictID = "shared_cache"
	Reencoded         runbook.VerdictID = "reencoded"
	RemovedTooEarly   runbook.VerdictID = "removed_too_early"
	GatewayResults    runbook.VerdictID = "gateway_result_cache"
	ManagedAuthoriser runbook.VerdictID = "managed_jwt_authoriser"
)

// Forbids says that a flush is refused outright, whatever override is given:
// without a sound live key set it would destroy the last good copy.
func Forbids(v runbook.Verdict) bool { return v.ID == LiveUnhealthy || v.ID == LiveDisagrees }
