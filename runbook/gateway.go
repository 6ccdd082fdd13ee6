package runbook

import (
	"context"
	"time"
)

// APIKind tells the two kinds of API that API Gateway has.
type APIKind string

// Kinds of API.
const (
	RestAPI APIKind = "rest"
	HTTPAPI APIKind = "http"
)

// AuthoriserKind says who judges tokens at a gateway.
type AuthoriserKind string

// Kinds of authoriser. Only Lambda authorisers have a result cache that can be
// flushed; a managed one keeps its own copy of the keys, which nobody can evict.
const (
	LambdaAuthoriser  AuthoriserKind = "lambda"
	ManagedJWT        AuthoriserKind = "jwt"     // of an HTTP API: keys are cached up to 2 h
	ManagedUserPool   AuthoriserKind = "cognito" // of a REST API: keys are cached up to 1 h
	UnknownAuthoriser AuthoriserKind = "unknown"
)

// GatewayAuthoriser is one authoriser of an API.
type GatewayAuthoriser struct {
	ID   string
	Name string
	Kind AuthoriserKind
	// ResultTTL is how long an answer of a Lambda authoriser is repeated
	// without asking it; zero: results are not cached.
	ResultTTL time.Duration
	// Function and Qualifier are what the gateway really invokes, from the
	// authoriser's URI with the stage's variables put in; no qualifier: $LATEST.
	Function  string
	Qualifier string
	// FunctionARN is the function without its qualifier; "" when the URI does
	// not name its account and Region.
	FunctionARN string
	Issuer      string // of a managed authoriser, when the API names it
}

// GatewaySetup is an API as it is configured.
type GatewaySetup struct {
	Kind        APIKind
	ID          string
	Name        string // metrics of a REST API go by its name
	Stage       string
	Authorisers []GatewayAuthoriser
}

// GatewayPoint is one minute of the gateway's traffic.
type GatewayPoint struct {
	At           time.Time
	Requests     float64
	ClientErrors float64 // all 4xx: no metric tells 401 apart
	ServerErrors float64
}

// GatewayEvidence is what the gateway shows in a window.
type GatewayEvidence struct {
	GatewaySetup
	Since, Until time.Time
	Points       []GatewayPoint // one a minute, oldest first; a minute without data is absent
	// Denied counts the answers 401 and 403 in the access log; nil when there
	// is no access log group. AtLeast: reading it stopped at its cap.
	Denied  *int
	AtLeast bool
	// DeniedNow counts those of the newest minutes; nil when it is not known.
	DeniedNow *int
	// Problems say what could not be read, each with the remedy. The rest holds.
	Problems []string
}

// gatewayAPI reads how an API is configured and empties its result cache.
type gatewayAPI interface {
	Setup(ctx context.Context) (GatewaySetup, error)
	// FlushResults empties the result cache of the stage. That the API accepted
	// it is all that can be known.
	FlushResults(ctx context.Context) error
}

// gatewayMeter reads the traffic of an API, one point a minute.
type gatewayMeter interface {
	Gateway(ctx context.Context, api GatewaySetup, since, until time.Time) ([]GatewayPoint, error)
}

// accessLog counts the requests that were denied with 401 or 403.
type accessLog interface {
	Denied(ctx context.Context, since, until time.Time) (count int, atLeast bool, err error)
}
