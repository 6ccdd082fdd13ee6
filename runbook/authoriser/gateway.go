package authoriser

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"

	"jwksbot/runbook"
)

// GatewaySettings say which API the authoriser belongs to.
type GatewaySettings struct {
	AWS     aws.Config
	RestAPI string // id of a REST API; exactly one of the two
	HTTPAPI string // id of an HTTP API
	Stage   string // "": $default, which only HTTP APIs have
}

// Gateway is one stage of an API.
type Gateway struct {
	rest  *apigateway.Client
	http  *apigatewayv2.Client
	kind  runbook.APIKind
	id    string
	stage string
	where string // Region
}

// NewGateway returns the API. It makes no request; the error is about the
// settings.
func NewGateway(s GatewaySettings) (*Gateway, error) {
	g := &Gateway{
		rest: apigateway.NewFromConfig(s.AWS), http: apigatewayv2.NewFromConfig(s.AWS),
		kind: runbook.RestAPI, id: s.RestAPI, stage: s.Stage, where: s.AWS.Region,
	}
	switch {
	case s.RestAPI == "" && s.HTTPAPI == "":
		return nil, errors.New("no API: set gateway.rest_api or gateway.http_api to the id of the API")
	case s.RestAPI != "" && s.HTTPAPI != "":
		return nil, errors.New("two APIs: set either gateway.rest_api or gateway.http_api")
	case s.HTTPAPI != "":
		g.kind, g.id = runbook.HTTPAPI, s.HTTPAPI
		if g.stage == "" {
			g.stage = "$default"
		}
	case s.Stage == "":
		return nil, errors.New("no stage: set gateway.stage, a REST API has no default stage")
	}
	return g, nil
}

// Setup reads how the API is configured. What was read is returned with an
// error, too: each part that failed is named in it.
func (g *Gateway) Setup(ctx context.Context) (runbook.GatewaySetup, error) {
	setup := runbook.GatewaySetup{Kind: g.kind, ID: g.id, Stage: g.stage}
	var variables map[string]string
	var found []found
	var nameErr, stageErr, listErr error
	var all sync.WaitGroup
	if g.kind == runbook.RestAPI {
		all.Go(func() { setup.Name, nameErr = g.restName(ctx) })
		all.Go(func() { variables, stageErr = g.restStage(ctx) })
		all.Go(func() { found, listErr = g.restAuthorisers(ctx) })
	} else {
		all.Go(func() { setup.Name, nameErr = g.httpName(ctx) })
		all.Go(func() { variables, stageErr = g.httpStage(ctx) })
		all.Go(func() { found, listErr = g.httpAuthorisers(ctx) })
	}
	all.Wait()
	if errors.Is(nameErr, errNotFound) {
		return setup, g.notFound(ctx) // then nothing else of it was found either
	}
	var plain *runbook.Plain
	if errors.As(listErr, &plain) && errors.As(nameErr, &plain) {
		return setup, listErr // without credentials every call says the same
	}
	errs := []error{nameErr, stageErr, listErr}
	for _, f := range found {
		a, err := f.follow(variables, stageErr)
		setup.Authorisers = append(setup.Authorisers, a)
		errs = append(errs, err)
	}
	return setup, errors.Join(errs...)
}

// found is an authoriser as the API lists it.
type found struct {
	runbook.GatewayAuthoriser
	uri string // of a Lambda authoriser
}

// follow finds the function that the authoriser invokes. A stage that could not
// be read is named once, not here again.
func (f found) follow(variables map[string]string, stageErr error) (runbook.GatewayAuthoriser, error) {
	a := f.GatewayAuthoriser
	if a.Kind != runbook.LambdaAuthoriser || stageErr != nil && stageVariable().MatchString(f.uri) {
		return a, nil
	}
	r, err := parseURI(f.uri, variables)
	if err != nil {
		return a, fmt.Errorf("authoriser %q: %w", a.Name, err)
	}
	a.Function, a.Qualifier, a.FunctionARN = r.name, r.qualifier, r.arn()
	return a, nil
}

// FlushResults empties the result cache of the stage. An API without a Lambda
// authoriser has none, which is a [runbook.Refusal].
func (g *Gateway) FlushResults(ctx context.Context) error {
	if err := g.flushable(ctx); err != nil {
		return err
	}
	if g.kind == runbook.RestAPI {
		_, err := g.rest.FlushStageAuthorizersCache(ctx, &apigateway.FlushStageAuthorizersCacheInput{RestApiId: aws.String(g.id), StageName: aws.String(g.stage)})
		return g.explain(err, "flushing the authoriser cache", "DELETE", "/stages/"+g.stage+"/cache/authorizers")
	}
	_, err := g.http.ResetAuthorizersCache(ctx, &apigatewayv2.ResetAuthorizersCacheInput{ApiId: aws.String(g.id), StageName: aws.String(g.stage)})
	return g.explain(err, "flushing the authoriser cache", "DELETE", "/stages/"+g.stage+"/cache/authorizers")
}

// flushable refuses where there are authorisers and none of them is a function.
// Where they cannot be listed the flush, which does no harm, is tried.
func (g *Gateway) flushable(ctx context.Context) error {
	list := g.restAuthorisers
	how := "up to an hour"
	if g.kind == runbook.HTTPAPI {
		list, how = g.httpAuthorisers, "up to two hours"
	}
	all, err := list(ctx)
	if err != nil || len(all) == 0 || slices.ContainsFunc(all, func(f found) bool { return f.Kind != runbook.ManagedJWT && f.Kind != runbook.ManagedUserPool }) {
		return nil
	}
	return refuse(runbook.RefusedNothing, "%s has no Lambda authoriser: API Gateway validates tokens itself and keeps its copy of the keys for %s. Nobody can flush that; wait, or publish the old keys again at the identity provider.", g, how)
}

// String names the API for people.
func (g *Gateway) String() string {
	if g.kind == runbook.HTTPAPI {
		return fmt.Sprintf("HTTP API %q", g.id)
	}
	return fmt.Sprintf("REST API %q", g.id)
}

// errNotFound marks an answer that something does not exist.
var errNotFound = errors.New("not found")

// explain says what went wrong with the API and what to do; nil stays nil.
func (g *Gateway) explain(err error, doing, verb, path string) error {
	switch {
	case err == nil:
		return nil
	case missing(codeOf(err)):
		return fmt.Errorf("%s of %s: %w: stage %q does not exist, or the API is gone: check gateway.stage: %w", doing, g, errNotFound, g.stage, err)
	}
	base := "/restapis/"
	if g.kind == runbook.HTTPAPI {
		base = "/apis/"
	}
	region := g.where
	if region == "" {
		region = "REGION"
	}
	c := call{doing: doing + " of " + g.String(), action: "apigateway:" + verb, resource: "arn:aws:apigateway:" + region + "::" + base + g.id + path}
	return c.explain(err)
}

// notFound tells an API of the other kind from one that does not exist.
func (g *Gateway) notFound(ctx context.Context) error {
	other, setting := runbook.HTTPAPI, "gateway.http_api instead of gateway.rest_api"
	find := func() error {
		_, err := g.http.GetApi(ctx, &apigatewayv2.GetApiInput{ApiId: aws.String(g.id)})
		return err
	}
	if g.kind == runbook.HTTPAPI {
		other, setting = runbook.RestAPI, "gateway.rest_api instead of gateway.http_api"
		find = func() error {
			_, err := g.rest.GetRestApi(ctx, &apigateway.GetRestApiInput{RestApiId: aws.String(g.id)})
			return err
		}
	}
	if find() == nil {
		kinds := map[runbook.APIKind]string{runbook.HTTPAPI: "an HTTP API", runbook.RestAPI: "a REST API"}
		return fmt.Errorf("%q is the id of %s: use %s", g.id, kinds[other], setting)
	}
	return fmt.Errorf("%s does not exist in %s: check the id (not the name) and region; if it is of the other kind, use %s", g, g.where, setting)
}
