package authoriser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jwksbot/runbook"
)

const (
	restID = "a1b2c3d4e5"
	httpID = "f6g7h8i9j0"
	invoke = "arn:aws:apigateway:eu-west-2:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-2:123456789012:function:oidc-authoriser:${stageVariables.alias}/invocations"
)

// gatewayService is one API of each kind over the wire, one authoriser a page.
type gatewayService struct {
	mu      sync.Mutex
	rest    []config // authorisers
	http    []config
	denied  string // path prefix that is not permitted
	status  int    // of all answers, instead
	flushed []string
	calls   []string
}

func newGatewayService() *gatewayService {
	return &gatewayService{
		rest: []config{
			{"id": "r1", "name": "tokens", "type": "TOKEN", "authorizerUri": invoke},
			{"id": "r2", "name": "requests", "type": "REQUEST", "authorizerUri": strings.Replace(invoke, ":${stageVariables.alias}", "", 1), "authorizerResultTtlInSeconds": 0},
			{"id": "r3", "name": "pool", "type": "COGNITO_USER_POOLS", "providerARNs": []string{"arn:aws:cognito-idp:eu-west-2:123456789012:userpool/eu-west-2_Abc"}},
			{"id": "r4", "name": "jwt", "type": "JWT"},
			{"id": "r5", "name": "new", "type": "SOMETHING_NEW"},
		},
		http: []config{
			{"authorizerId": "h1", "name": "requests", "authorizerType": "REQUEST", "authorizerUri": invoke, "authorizerResultTtlInSeconds": 120},
			{"authorizerId": "h2", "name": "jwt", "authorizerType": "JWT", "jwtConfiguration": config{"issuer": "https://issuer.example/pool", "audience": []string{"x"}}},
		},
	}
}

func (s *gatewayService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, r.Method+" "+r.URL.Path)
	fail := func(status int, code string) {
		w.Header().Set("X-Amzn-Errortype", code)
		w.WriteHeader(status)
		fmt.Fprint(w, `{"message":"said by AWS"}`)
	}
	if s.status != 0 {
		fail(s.status, "TooManyRequestsException")
		return
	}
	if s.denied != "" && strings.HasPrefix(r.URL.Path, s.denied) {
		fail(403, "AccessDeniedException")
		return
	}
	answer := func(v any) { _ = json.NewEncoder(w).Encode(v) }
	page := func(all []config, token string) ([]config, string) {
		n := 0
		_, _ = fmt.Sscanf(token, "page-%d", &n)
		if n+1 < len(all) {
			return all[n : n+1], fmt.Sprintf("page-%d", n+1)
		}
		return all[n:], ""
	}
	switch r.Method + " " + r.URL.Path {
	case "GET /restapis/" + restID:
		answer(config{"id": restID, "name": "orders"})
	case "GET /restapis/" + restID + "/stages/live", "GET /v2/apis/" + httpID + "/stages/$default":
		answer(config{"variables": config{"alias": "live"}, "stageVariables": config{"alias": "live"}})
	case "GET /restapis/" + restID + "/authorizers":
		items, next := page(s.rest, r.URL.Query().Get("position"))
		answer(config{"item": items, "position": next})
	case "GET /v2/apis/" + httpID:
		answer(config{"apiId": httpID, "name": "orders-http", "protocolType": "HTTP"})
	case "GET /v2/apis/websocket00":
		answer(config{"apiId": "websocket00", "name": "chat", "protocolType": "WEBSOCKET"})
	case "GET /v2/apis/" + httpID + "/authorizers":
		items, next := page(s.http, r.URL.Query().Get("nextToken"))
		answer(config{"items": items, "nextToken": next})
	case "DELETE /restapis/" + restID + "/stages/live/cache/authorizers", "DELETE /v2/apis/" + httpID + "/stages/$default/cache/authorizers":
		s.flushed = append(s.flushed, r.URL.Path)
		w.WriteHeader(http.StatusAccepted)
	default:
		fail(404, "NotFoundException")
	}
}

func gateway(t *testing.T, s *gatewayService, set GatewaySettings) *Gateway {
	t.Helper()
	set.AWS = sdk(t, s)
	g, err := NewGateway(set)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

const functionARN = "arn:aws:lambda:eu-west-2:123456789012:function:oidc-authoriser"

func TestSetupOfRestAPI(t *testing.T) {
	got, err := gateway(t, newGatewayService(), GatewaySettings{RestAPI: restID, Stage: "live"}).Setup(t.Context())
	want := runbook.GatewaySetup{Kind: runbook.RestAPI, ID: restID, Name: "orders", Stage: "live", Authorisers: []runbook.GatewayAuthoriser{
		{ID: "r1", Name: "tokens", Kind: runbook.LambdaAuthoriser, ResultTTL: 5 * time.Minute, Function: name, Qualifier: "live", FunctionARN: functionARN},
		{ID: "r2", Name: "requests", Kind: runbook.LambdaAuthoriser, Function: name, FunctionARN: functionARN},
		{ID: "r3", Name: "pool", Kind: runbook.ManagedUserPool, Issuer: "https://cognito-idp.eu-west-2.amazonaws.com/eu-west-2_Abc"},
		{ID: "r4", Name: "jwt", Kind: runbook.ManagedJWT},
		{ID: "r5", Name: "new", Kind: runbook.UnknownAuthoriser},
	}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v, difference:\n%s", err, diff)
	}
}

func TestSetupOfHTTPAPI(t *testing.T) {
	got, err := gateway(t, newGatewayService(), GatewaySettings{HTTPAPI: httpID}).Setup(t.Context())
	want := runbook.GatewaySetup{Kind: runbook.HTTPAPI, ID: httpID, Name: "orders-http", Stage: "$default", Authorisers: []runbook.GatewayAuthoriser{
		{ID: "h1", Name: "requests", Kind: runbook.LambdaAuthoriser, ResultTTL: 2 * time.Minute, Function: name, Qualifier: "live", FunctionARN: functionARN},
		{ID: "h2", Name: "jwt", Kind: runbook.ManagedJWT, Issuer: "https://issuer.example/pool"},
	}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v, difference:\n%s", err, diff)
	}
}

func TestFlushResults(t *testing.T) {
	s := newGatewayService()
	for _, g := range []*Gateway{gateway(t, s, GatewaySettings{RestAPI: restID, Stage: "live"}), gateway(t, s, GatewaySettings{HTTPAPI: httpID})} {
		if err := g.FlushResults(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if len(s.flushed) != 2 {
		t.Errorf("flushed %q", s.flushed)
	}
	s.rest, s.http, s.flushed = s.rest[2:4], s.http[1:], nil
	for g, says := range map[*Gateway]string{
		gateway(t, s, GatewaySettings{RestAPI: restID, Stage: "live"}): "up to an hour",
		gateway(t, s, GatewaySettings{HTTPAPI: httpID}):                "up to two hours",
	} {
		if r := asRefusal(t, g.FlushResults(t.Context()), runbook.RefusedNothing); !strings.Contains(r.Text, says) {
			t.Errorf("says %q", r.Text)
		}
	}
	if len(s.flushed) != 0 {
		t.Errorf("flushed %q", s.flushed)
	}
}

// What is wrong is named; what could be read all the same is there.
func TestGatewayTrouble(t *testing.T) {
	rest, http := GatewaySettings{RestAPI: restID, Stage: "live"}, GatewaySettings{HTTPAPI: httpID}
	for _, c := range []struct {
		name  string
		of    GatewaySettings
		set   func(s *gatewayService)
		says  []string
		found int // authorisers
	}{
		{"a REST API as HTTP API", GatewaySettings{HTTPAPI: restID}, nil, []string{`"a1b2c3d4e5" is the id of a REST API: use gateway.rest_api instead of gateway.http_api`}, 0},
		{"an HTTP API as REST API", GatewaySettings{RestAPI: httpID, Stage: "live"}, nil, []string{`is the id of an HTTP API: use gateway.http_api`}, 0},
		{"no such API", GatewaySettings{RestAPI: "nope", Stage: "live"}, nil, []string{`REST API "nope" does not exist in eu-west-2`, "not the name"}, 0},
		{"a WebSocket API", GatewaySettings{HTTPAPI: "websocket00", Stage: "live"}, nil, []string{"WebSocket API"}, 0},
		{"no such stage", GatewaySettings{RestAPI: restID, Stage: "prod"}, nil, []string{`stage "prod" does not exist`, "gateway.stage"}, 5},
		{"no permission for the name", rest, func(s *gatewayService) { s.denied = "/restapis/" + restID },
			[]string{"allow apigateway:GET on arn:aws:apigateway:eu-west-2::/restapis/a1b2c3d4e5/authorizers"}, 0},
		{"no permission for the stage", http, func(s *gatewayService) { s.denied = "/v2/apis/" + httpID + "/stages" },
			[]string{"allow apigateway:GET on arn:aws:apigateway:eu-west-2::/apis/f6g7h8i9j0/stages/$default"}, 2},
		{"throttled", rest, func(s *gatewayService) { s.status = 429 }, []string{"throttled by AWS"}, 0},
		{"a stage variable is missing", rest, func(s *gatewayService) {
			s.rest[0]["authorizerUri"] = strings.Replace(invoke, "alias", "colour", 1)
		}, []string{`authoriser "tokens"`, "stage variable colour"}, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newGatewayService()
			if c.set != nil {
				c.set(s)
			}
			got, err := gateway(t, s, c.of).Setup(t.Context())
			if err == nil || len(got.Authorisers) != c.found {
				t.Fatalf("%d authorisers, error %v", len(got.Authorisers), err)
			}
			for _, words := range c.says {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("says %q, without %q", err, words)
				}
			}
		})
	}
	s := newGatewayService()
	s.denied = "/restapis/" + restID + "/stages/live/cache"
	err := gateway(t, s, rest).FlushResults(t.Context())
	if err == nil || !strings.Contains(err.Error(), "allow apigateway:DELETE on arn:aws:apigateway:eu-west-2::/restapis/a1b2c3d4e5/stages/live/cache/authorizers") {
		t.Errorf("says %v", err)
	}
}

func TestGatewaySettings(t *testing.T) {
	for _, c := range []struct {
		set  GatewaySettings
		says string
	}{
		{GatewaySettings{}, "gateway.rest_api or gateway.http_api"},
		{GatewaySettings{RestAPI: "a", HTTPAPI: "b", Stage: "c"}, "either"},
		{GatewaySettings{RestAPI: "a"}, "set gateway.stage"},
	} {
		if _, err := NewGateway(c.set); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v", c.set, err)
		}
	}
}
