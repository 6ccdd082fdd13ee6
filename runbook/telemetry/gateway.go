package telemetry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"jwksbot/runbook"
)

// gatewayMetrics are the names of the metrics of one kind of API ("API Gateway
// metrics and dimensions" in the developer guide, for REST and for HTTP APIs).
type gatewayMetrics struct{ requests, clientErrors, serverErrors string }

var gatewayNames = map[runbook.APIKind]gatewayMetrics{
	runbook.RestAPI: {"Count", "4XXError", "5XXError"},
	runbook.HTTPAPI: {"Count", "4xx", "5xx"},
}

// Gateway reads the traffic of a stage, or of the whole API when no stage is
// named, one point a minute, oldest first. The window is cut to whole minutes:
// the minute of until is not complete and left out. Minutes without a point are
// absent; an API that CloudWatch does not know has none. The error names the
// permission or the limit that was met; what was read until then is returned
// with it.
func (m *Metrics) Gateway(ctx context.Context, api runbook.GatewaySetup, since, until time.Time) ([]runbook.GatewayPoint, error) {
	names, known := gatewayNames[api.Kind]
	if !known {
		return nil, fmt.Errorf("gateway metrics: API %q is of kind %q, not rest or http", api.ID, api.Kind)
	}
	of, err := gatewayDimensions(api)
	if err != nil {
		return nil, err
	}
	list := []series{{apiGateway, names.requests, of}, {apiGateway, names.clientErrors, of}, {apiGateway, names.serverErrors, of}}
	points := map[int64]*runbook.GatewayPoint{}
	err = m.read(ctx, "gateway", list, since, until, func(i int, at time.Time, sum float64) {
		p := pointAt(points, at, func() *runbook.GatewayPoint { return &runbook.GatewayPoint{At: at} })
		switch list[i].name {
		case names.requests:
			p.Requests += sum
		case names.clientErrors:
			p.ClientErrors += sum
		case names.serverErrors:
			p.ServerErrors += sum
		}
	})
	var out []runbook.GatewayPoint
	for _, p := range points {
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b runbook.GatewayPoint) int { return a.At.Compare(b.At) })
	return out, err
}

// gatewayDimensions name the series of an API: a REST API goes by its name,
// which another API of the account may share, an HTTP API by its id.
func gatewayDimensions(api runbook.GatewaySetup) ([]types.Dimension, error) {
	name, value := "ApiId", api.ID
	if api.Kind == runbook.RestAPI {
		name, value = "ApiName", api.Name
	}
	if value == "" {
		return nil, errors.New("gateway metrics: the API has no name to look its metrics up by: check gateway.rest_api or gateway.http_api")
	}
	of := []types.Dimension{{Name: aws.String(name), Value: aws.String(value)}}
	if api.Stage != "" {
		of = append(of, types.Dimension{Name: aws.String("Stage"), Value: aws.String(api.Stage)})
	}
	return of, nil
}
