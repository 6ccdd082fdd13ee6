package runbook

import (
	"cmp"
	"fmt"
	"strings"
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

// Lambdas are the Lambda authorisers of which it is known what they invoke.
func (s GatewaySetup) Lambdas() (out []GatewayAuthoriser) {
	for _, a := range s.Authorisers {
		if a.Kind == LambdaAuthoriser && a.Function != "" {
			out = append(out, a)
		}
	}
	return out
}

// Title is the API as people call it.
func (s GatewaySetup) Title() string {
	kind := map[APIKind]string{RestAPI: "REST API", HTTPAPI: "HTTP API"}[s.Kind]
	if kind == "" {
		return "API Gateway"
	}
	name := s.Name
	if name == "" {
		name = s.ID
	}
	if s.Stage != "" {
		return fmt.Sprintf("%s %s, stage %s", kind, Quote(name), Quote(s.Stage))
	}
	return kind + " " + Quote(name)
}

const shownAuthorisers = 3

// AuthoriserText describes the authorisers; those that do the same are named
// together.
func (s GatewaySetup) AuthoriserText() string {
	if len(s.Authorisers) == 0 {
		return "no authoriser of it is known"
	}
	names := map[string][]string{}
	var kinds []GatewayAuthoriser // one of each that does the same
	for _, a := range s.Authorisers {
		does := a.does()
		if _, known := names[does]; !known {
			kinds, names[does] = append(kinds, a), nil
		}
		if name := a.Label(); name != "" {
			names[does] = append(names[does], name)
		}
	}
	var out []string
	for i, a := range kinds {
		if i == shownAuthorisers {
			out = append(out, "and others that differ")
			break
		}
		known := names[a.does()]
		who, does := a.is(), a.does()
		if len(known) > 1 {
			who, does = who+"s", strings.Replace(does, " invokes ", " invoke ", 1)
		}
		if len(known) > 0 {
			who += " " + QuoteAll(known)
		}
		out = append(out, who+does)
	}
	return strings.Join(out, "; ")
}

// Label is the authoriser's name, or what else tells it from others; "" when
// nothing does.
func (a GatewayAuthoriser) Label() string { return cmp.Or(a.Name, a.ID) }

// is and does say what the authoriser is and does, around its name.
func (a GatewayAuthoriser) is() string {
	switch {
	case a.Kind == LambdaAuthoriser:
		return "Lambda authoriser"
	case a.Managed():
		return "managed authoriser"
	}
	return "authoriser"
}

func (a GatewayAuthoriser) does() string {
	switch {
	case a.Managed():
		return ": the gateway checks tokens itself, with keys that it keeps for up to " + Duration(a.KeysKept())
	case a.Kind != LambdaAuthoriser:
		return " of an unknown kind"
	}
	text := ""
	if a.Function != "" {
		text = " invokes " + Quote(Qualified(a.Function, a.Qualifier))
	}
	if a.ResultTTL <= 0 {
		return text + ", answers are not cached"
	}
	return text + ", each answer is repeated for " + Duration(a.ResultTTL)
}

// KeysKept is how long a managed authoriser may use its copy of the keys, as
// AWS documents it; nobody can evict it.
func (a GatewayAuthoriser) KeysKept() time.Duration {
	if a.Kind == ManagedJWT {
		return 2 * time.Hour
	}
	return time.Hour
}

// Managed says that the gateway validates tokens itself.
func (a GatewayAuthoriser) Managed() bool {
	return a.Kind == ManagedJWT || a.Kind == ManagedUserPool
}
