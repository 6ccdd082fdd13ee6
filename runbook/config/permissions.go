package config

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// permission is one action that a role of the bot needs, and the operations of
// the SDK that it permits. Which action an operation needs, and whether it can
// be narrowed to resources, is from AWS' Service Authorization Reference, one
// page a service ("Actions, resources, and condition keys for …"):
// Amazon ElastiCache, Amazon CloudWatch, Amazon CloudWatch Logs, AWS Lambda,
// Amazon API Gateway Management and Management V2, Amazon SNS, AWS STS.
// A test holds the operations against the calls in the code of the adapters.
type permission struct {
	sid        string // of the statement; same sid, same resources
	action     string
	operations []string // "service.Operation", as the SDK's packages name them
	act        bool     // changes something, or tells somebody
	resources  func(scope) []string
}

// scope is what is known of a target for the names of its resources.
type scope struct {
	Target
	region string // "*" when unknown
}

// permissions is everything that the bot ever does at AWS. sts.GetCallerIdentity
// needs no permission and stands here for the same reason.
var permissions = []permission{
	{"ReadCacheGroup", "elasticache:DescribeReplicationGroups", []string{"elasticache.DescribeReplicationGroups"}, false, scope.replicationGroup},
	{"ReadCacheServerless", "elasticache:DescribeServerlessCaches", []string{"elasticache.DescribeServerlessCaches"}, false, scope.serverlessCache},
	{"ReadCacheConnect", "elasticache:Connect", nil, false, scope.cacheConnect}, // a signed token, no call
	{"ReadMetrics", "cloudwatch:GetMetricData", []string{"cloudwatch.GetMetricData"}, false, scope.metrics},
	{"ReadLogs", "logs:FilterLogEvents", []string{"cloudwatchlogs.FilterLogEvents"}, false, scope.logs},
	{"ReadLogStreams", "logs:DescribeLogStreams", []string{"cloudwatchlogs.DescribeLogStreams"}, false, scope.logStreams},
	{"ReadFunction", "lambda:GetFunctionConfiguration", []string{"lambda.GetFunctionConfiguration"}, false, scope.function},
	{"ReadFunction", "lambda:GetAlias", []string{"lambda.GetAlias"}, false, scope.function},
	{"ReadFunction", "lambda:GetProvisionedConcurrencyConfig", []string{"lambda.GetProvisionedConcurrencyConfig"}, false, scope.function},
	{"ReadGateway", "apigateway:GET", []string{"apigateway.GetRestApi", "apigateway.GetStage", "apigateway.GetAuthorizers",
		"apigatewayv2.GetApi", "apigatewayv2.GetStage", "apigatewayv2.GetAuthorizers"}, false, scope.gateway},
	{"ActRestart", "lambda:UpdateFunctionConfiguration", []string{"lambda.UpdateFunctionConfiguration"}, true, scope.function},
	{"ActRestart", "lambda:PublishVersion", []string{"lambda.PublishVersion"}, true, scope.function},
	{"ActRestart", "lambda:UpdateAlias", []string{"lambda.UpdateAlias"}, true, scope.function},
	{"ActFlushGateway", "apigateway:DELETE", []string{"apigateway.FlushStageAuthorizersCache", "apigatewayv2.ResetAuthorizersCache"}, true, scope.gatewayResults},
	{"ActAnnounce", "sns:Publish", []string{"sns.Publish"}, true, scope.topic},
	{"", "", []string{"sts.GetCallerIdentity"}, false, func(scope) []string { return nil }},
}

// partition is the part of AWS that a region belongs to.
func (p scope) partition() string {
	switch {
	case strings.HasPrefix(p.region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(p.region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// account is the target's account as far as the configuration tells it.
func (p scope) account() string {
	for _, text := range []string{p.Authoriser.Function, p.Authoriser.LogGroup, p.Escalation.SNSTopic} {
		if a, err := arn.Parse(text); err == nil && a.AccountID != "" {
			return a.AccountID
		}
	}
	return "*"
}

func (p scope) arn(service, resource string) string {
	return arn.ARN{Partition: p.partition(), Service: service, Region: p.region, AccountID: p.account(), Resource: resource}.String()
}

func (p scope) replicationGroup() []string {
	if p.Cache.ReplicationGroup == "" {
		return nil
	}
	// ids of replication groups are in lower case, however they are written
	return []string{p.arn("elasticache", "replicationgroup:"+strings.ToLower(p.Cache.ReplicationGroup))}
}

func (p scope) serverlessCache() []string {
	if p.Cache.Serverless == "" {
		return nil
	}
	return []string{p.arn("elasticache", "serverlesscache:"+strings.ToLower(p.Cache.Serverless))}
}

// cacheConnect needs the cache and the user (ElastiCache user guide,
// "Authenticating with IAM").
func (p scope) cacheConnect() []string {
	if p.Cache.Auth != "iam" {
		return nil
	}
	return append(append(p.replicationGroup(), p.serverlessCache()...), p.arn("elasticache", "user:"+p.Cache.Username))
}

// metrics cannot be narrowed: GetMetricData has no resource types.
func (p scope) metrics() []string {
	if p.Cache.URL != "" && p.Gateway.RestAPI == "" && p.Gateway.HTTPAPI == "" {
		return nil
	}
	return []string{"*"}
}

func (p scope) logs() []string {
	var out []string
	for _, group := range []string{p.Authoriser.LogGroup, p.Gateway.AccessLogGroup} {
		if group != "" {
			out = append(out, p.logGroup(group))
		}
	}
	return out
}

func (p scope) logStreams() []string {
	if p.Authoriser.LogGroup == "" {
		return nil
	}
	return []string{p.logGroup(p.Authoriser.LogGroup)}
}

func (p scope) logGroup(group string) string {
	if arn.IsARN(group) {
		return strings.TrimSuffix(group, ":*") + ":*"
	}
	return p.arn("logs", "log-group:"+group+":*")
}

// function is the function itself, and its versions and aliases.
func (p scope) function() []string {
	name := p.Authoriser.Function
	if name == "" {
		return nil
	}
	if a, err := arn.Parse(name); err == nil {
		parts := strings.Split(a.Resource, ":") // function:NAME[:QUALIFIER]
		a.Resource = strings.Join(parts[:min(len(parts), 2)], ":")
		return []string{a.String(), a.String() + ":*"}
	}
	name, _, _ = strings.Cut(name, ":")
	return []string{p.arn("lambda", "function:"+name), p.arn("lambda", "function:"+name+":*")}
}

// api is the path of the API; ARNs of API Gateway hold no account.
func (p scope) api() string {
	switch {
	case p.Gateway.RestAPI != "":
		return "/restapis/" + p.Gateway.RestAPI
	case p.Gateway.HTTPAPI != "":
		return "/apis/" + p.Gateway.HTTPAPI
	}
	return ""
}

func (p scope) stage() string {
	if p.Gateway.Stage == "" {
		return "$default" // HTTP APIs only
	}
	return p.Gateway.Stage
}

func (p scope) gatewayARN(path string) string {
	return arn.ARN{Partition: p.partition(), Service: "apigateway", Region: p.region, Resource: path}.String()
}

func (p scope) gateway() []string {
	api := p.api()
	if api == "" {
		return nil
	}
	return []string{p.gatewayARN(api), p.gatewayARN(api + "/authorizers"), p.gatewayARN(api + "/stages/" + p.stage())}
}

func (p scope) gatewayResults() []string {
	if p.api() == "" {
		return nil
	}
	return []string{p.gatewayARN(p.api() + "/stages/" + p.stage() + "/cache/authorizers")}
}

func (p scope) topic() []string {
	if p.Escalation.SNSTopic == "" {
		return nil
	}
	return []string{p.Escalation.SNSTopic}
}
