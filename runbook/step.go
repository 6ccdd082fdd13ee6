package runbook

// Names of the checks, in the order in which they are shown.
const (
	StepLiveKeys     = "live-keys"
	StepCachedKeys   = "cached-keys"
	StepLoggedKeys   = "logged-keys"
	StepCacheTraffic = "cache-traffic"
	StepGateway      = "gateway-errors"
	StepAuthoriser   = "authoriser"
)

// StepHistory is the name under which an unreadable history is told.
const StepHistory = "history"
