package drill

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// policy is an IAM policy document, as far as it is used here: statements that
// allow or deny actions on resources, without conditions.
type policy struct {
	Statement []statement
}

type statement struct {
	Effect    string
	Action    texts
	Resource  texts
	Condition json.RawMessage
}

// texts is one string or a list of them, as policies have it.
type texts []string

// UnmarshalJSON takes both forms.
func (t *texts) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = texts{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// Permit makes every AWS endpoint refuse what the IAM policy does not allow,
// from now on; nil permits everything again.
func (w *World) Permit(document []byte) error {
	var p *policy
	if document != nil {
		p = &policy{}
		if err := json.Unmarshal(document, p); err != nil {
			return fmt.Errorf("policy: %w", err)
		}
		if len(p.Statement) == 0 {
			return errors.New("policy: it has no statement")
		}
		for i, s := range p.Statement {
			if s.Effect != "Allow" && s.Effect != "Deny" || len(s.Action) == 0 || len(s.Resource) == 0 || s.Condition != nil {
				return fmt.Errorf("policy: statement %d needs Effect, Action and Resource, and conditions are not understood here", i)
			}
		}
	}
	w.aws.mu.Lock()
	defer w.aws.mu.Unlock()
	w.aws.policy = p
	return nil
}

// allows says whether the action on the resource is permitted: an Allow that
// matches, and no Deny.
func (p *policy) allows(action, resource string) bool {
	allowed := false
	for _, s := range p.Statement {
		if !s.Action.match(action, true) || !s.Resource.match(resource, false) {
			continue
		}
		if s.Effect == "Deny" {
			return false
		}
		allowed = true
	}
	return allowed
}

// match compares with wildcards: * is any text, ? any character. Actions are
// compared without regard to case.
func (t texts) match(s string, fold bool) bool {
	for _, pattern := range t {
		expr := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern))
		if fold {
			expr = "(?i)" + expr
		}
		if ok, err := regexp.MatchString("^"+expr+"$", s); err == nil && ok {
			return true
		}
	}
	return false
}

// right is what an operation needs: an action, on the resource that a call is
// about.
type right struct {
	action   string
	resource func(c awsCall) string
}

// rights are what each operation of these endpoints needs, by service and
// operation. Source: Service Authorization Reference, "Actions, resources, and
// condition keys for" Amazon CloudWatch, Amazon CloudWatch Logs, Amazon
// ElastiCache, AWS Lambda, Amazon API Gateway Management (and V2: actions are the
// HTTP verbs, resources the paths), Amazon SNS. An operation without resource
// types is on "*". GetCallerIdentity needs no permission.
var rights = map[string]right{
	"cloudwatch.GetMetricData":               {"cloudwatch:GetMetricData", onAny},
	"cloudwatch.ListMetrics":                 {"cloudwatch:ListMetrics", onAny},
	"logs.FilterLogEvents":                   {"logs:FilterLogEvents", onLogGroup},
	"logs.DescribeLogStreams":                {"logs:DescribeLogStreams", onLogGroup},
	"logs.DescribeLogGroups":                 {"logs:DescribeLogGroups", onAny},
	"elasticache.DescribeReplicationGroups":  {"elasticache:DescribeReplicationGroups", onCache("replicationgroup:", "ReplicationGroupId")},
	"elasticache.DescribeServerlessCaches":   {"elasticache:DescribeServerlessCaches", onCache("serverlesscache:", "ServerlessCacheName")},
	"lambda.GetFunction":                     {"lambda:GetFunction", onFunction},
	"lambda.GetFunctionConfiguration":        {"lambda:GetFunctionConfiguration", onFunction},
	"lambda.UpdateFunctionConfiguration":     {"lambda:UpdateFunctionConfiguration", onFunction},
	"lambda.PublishVersion":                  {"lambda:PublishVersion", onFunction},
	"lambda.GetAlias":                        {"lambda:GetAlias", onFunction},
	"lambda.UpdateAlias":                     {"lambda:UpdateAlias", onFunction},
	"lambda.GetProvisionedConcurrencyConfig": {"lambda:GetProvisionedConcurrencyConfig", onFunction},
	"apigateway.GetRestApi":                  {"apigateway:GET", onAPI},
	"apigateway.GetStage":                    {"apigateway:GET", onAPI},
	"apigateway.GetAuthorizers":              {"apigateway:GET", onAPI},
	"apigateway.FlushStageAuthorizersCache":  {"apigateway:DELETE", onAPI},
	"apigatewayv2.GetApi":                    {"apigateway:GET", onAPI},
	"apigatewayv2.GetStage":                  {"apigateway:GET", onAPI},
	"apigatewayv2.GetAuthorizers":            {"apigateway:GET", onAPI},
	"apigatewayv2.ResetAuthorizersCache":     {"apigateway:DELETE", onAPI},
	"sns.Publish":                            {"sns:Publish", func(c awsCall) string { return c.form().Get("TopicArn") }},
	"sts.GetCallerIdentity":                  {},
}

func onAny(awsCall) string { return "*" }

func onLogGroup(c awsCall) string {
	var in groupRef
	_ = c.readJSON(&in) // what cannot be read is on no group, and refused
	if name, ok := strings.CutPrefix(in.LogGroupIdentifier, groupARN("")); ok {
		in.LogGroupIdentifier = name
	}
	return groupARN(orDefault(in.LogGroupName, in.LogGroupIdentifier)) + ":log-stream:"
}

// onCache is one cache, or all when the call names none.
func onCache(kind, parameter string) func(awsCall) string {
	return func(c awsCall) string {
		return "arn:aws:elasticache:" + Region + ":" + Account + ":" + kind + orDefault(c.form().Get(parameter), "*")
	}
}

// onFunction is the function, with the qualifier that the call is about.
func onFunction(c awsCall) string {
	name := c.params(lambdaRoutes)[0]
	if i := strings.LastIndex(name, "function:"); i >= 0 {
		name = name[i+len("function:"):]
	}
	arn := "arn:aws:lambda:" + Region + ":" + Account + ":function:" + name
	if q := c.URL.Query().Get("Qualifier"); q != "" {
		arn += ":" + q
	}
	return arn
}

func onAPI(c awsCall) string {
	return "arn:aws:apigateway:" + Region + "::" + strings.TrimPrefix(c.URL.Path, "/v2")
}

// permitted returns the action that the policy does not allow for this call, and
// the resource; "" when it may be made.
func (p *policy) permitted(service, operation string, c awsCall) (action, resource string) {
	need := rights[service+"."+operation]
	if p == nil || need.action == "" && service == "sts" {
		return "", ""
	}
	if need.action == "" {
		return service + ":" + operation, "*" // nobody knows what it needs
	}
	if resource = need.resource(c); p.allows(need.action, resource) {
		return "", ""
	}
	return need.action, resource
}
