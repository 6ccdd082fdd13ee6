package authoriser

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	resttypes "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	httptypes "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"

	"jwksbot/runbook"
)

const (
	// restResultTTL is what a REST API takes when nothing is set
	// (API reference, Authorizer); an HTTP API then caches nothing.
	restResultTTL = 300 * time.Second
	// maxPages bounds a list that does not end; an API has ten authorisers by
	// default quota.
	maxPages = 20
)

func (g *Gateway) restName(ctx context.Context) (string, error) {
	out, err := g.rest.GetRestApi(ctx, &apigateway.GetRestApiInput{RestApiId: aws.String(g.id)})
	if err != nil {
		return "", g.explain(err, "reading the name", "GET", "")
	}
	return aws.ToString(out.Name), nil
}

func (g *Gateway) httpName(ctx context.Context) (string, error) {
	out, err := g.http.GetApi(ctx, &apigatewayv2.GetApiInput{ApiId: aws.String(g.id)})
	if err != nil {
		return "", g.explain(err, "reading the name", "GET", "")
	}
	if out.ProtocolType == httptypes.ProtocolTypeWebsocket {
		return "", fmt.Errorf("%q is the id of a WebSocket API, whose authorisers keep no results: leave gateway out for this target", g.id)
	}
	return aws.ToString(out.Name), nil
}

func (g *Gateway) restStage(ctx context.Context) (map[string]string, error) {
	out, err := g.rest.GetStage(ctx, &apigateway.GetStageInput{RestApiId: aws.String(g.id), StageName: aws.String(g.stage)})
	if err != nil {
		return nil, g.explain(err, "reading stage "+g.stage, "GET", "/stages/"+g.stage)
	}
	return out.Variables, nil
}

func (g *Gateway) httpStage(ctx context.Context) (map[string]string, error) {
	out, err := g.http.GetStage(ctx, &apigatewayv2.GetStageInput{ApiId: aws.String(g.id), StageName: aws.String(g.stage)})
	if err != nil {
		return nil, g.explain(err, "reading stage "+g.stage, "GET", "/stages/"+g.stage)
	}
	return out.StageVariables, nil
}

func (g *Gateway) restAuthorisers(ctx context.Context) ([]found, error) {
	var all []found
	in := &apigateway.GetAuthorizersInput{RestApiId: aws.String(g.id), Limit: aws.Int32(500)}
	for range maxPages {
		out, err := g.rest.GetAuthorizers(ctx, in)
		if err != nil {
			return all, g.explain(err, "listing the authorisers", "GET", "/authorizers")
		}
		for _, a := range out.Items {
			all = append(all, restAuthoriser(a))
		}
		if aws.ToString(out.Position) == "" {
			return all, nil
		}
		in.Position = out.Position
	}
	return all, fmt.Errorf("listing the authorisers of %s: more than %d pages", g, maxPages)
}

func (g *Gateway) httpAuthorisers(ctx context.Context) ([]found, error) {
	var all []found
	in := &apigatewayv2.GetAuthorizersInput{ApiId: aws.String(g.id)}
	for range maxPages {
		out, err := g.http.GetAuthorizers(ctx, in)
		if err != nil {
			return all, g.explain(err, "listing the authorisers", "GET", "/authorizers")
		}
		for _, a := range out.Items {
			all = append(all, httpAuthoriser(a))
		}
		if aws.ToString(out.NextToken) == "" {
			return all, nil
		}
		in.NextToken = out.NextToken
	}
	return all, fmt.Errorf("listing the authorisers of %s: more than %d pages", g, maxPages)
}

func restAuthoriser(a resttypes.Authorizer) found {
	f := found{uri: aws.ToString(a.AuthorizerUri)}
	f.ID, f.Name, f.Kind = aws.ToString(a.Id), aws.ToString(a.Name), runbook.UnknownAuthoriser
	switch a.Type {
	case resttypes.AuthorizerTypeToken, resttypes.AuthorizerTypeRequest:
		f.Kind, f.ResultTTL = runbook.LambdaAuthoriser, restResultTTL
		if a.AuthorizerResultTtlInSeconds != nil {
			f.ResultTTL = time.Duration(*a.AuthorizerResultTtlInSeconds) * time.Second
		}
	case resttypes.AuthorizerTypeCognitoUserPools:
		f.Kind, f.Issuer = runbook.ManagedUserPool, poolIssuers(a.ProviderARNs)
	case "JWT": // newer than this version of the SDK's list
		f.Kind = runbook.ManagedJWT
	}
	return f
}

func httpAuthoriser(a httptypes.Authorizer) found {
	f := found{uri: aws.ToString(a.AuthorizerUri)}
	f.ID, f.Name, f.Kind = aws.ToString(a.AuthorizerId), aws.ToString(a.Name), runbook.UnknownAuthoriser
	switch a.AuthorizerType {
	case httptypes.AuthorizerTypeRequest:
		f.Kind = runbook.LambdaAuthoriser
		f.ResultTTL = time.Duration(aws.ToInt32(a.AuthorizerResultTtlInSeconds)) * time.Second
	case httptypes.AuthorizerTypeJwt:
		f.Kind = runbook.ManagedJWT
		if a.JwtConfiguration != nil {
			f.Issuer = aws.ToString(a.JwtConfiguration.Issuer)
		}
	}
	return f
}

// poolIssuers are the issuers of user pools, from
// arn:aws:cognito-idp:REGION:ACCOUNT:userpool/ID.
func poolIssuers(arns []string) string {
	var all []string
	for _, arn := range arns {
		if part := strings.SplitN(arn, ":", 6); len(part) == 6 {
			all = append(all, "https://cognito-idp."+part[3]+".amazonaws.com/"+strings.TrimPrefix(part[5], "userpool/"))
		}
	}
	return strings.Join(all, ", ")
}
