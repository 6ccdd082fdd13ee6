package drill

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Every operation of the endpoints stands in the table of rights, and no other.
func TestRightsAreComplete(t *testing.T) {
	known := map[string]bool{}
	for _, s := range services {
		for op := range s.operations {
			known[s.name+"."+op] = true
			if need, ok := rights[s.name+"."+op]; !ok || need.action == "" && s.name != "sts" || need.action != "" && need.resource == nil {
				t.Errorf("%s.%s: %+v", s.name, op, need)
			}
		}
	}
	for op := range rights {
		if !known[op] {
			t.Errorf("%s is no operation of these endpoints", op)
		}
	}
}

func TestPolicyIsEnforced(t *testing.T) {
	w := quietWorld(t)
	err := w.Permit([]byte(`{"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Action": "logs:FilterLogEvents", "Resource": "arn:aws:logs:eu-west-2:*:log-group:/aws/lambda/drill-authoriser:*"},
		{"Effect": "Allow", "Action": ["lambda:Get*", "lambda:UpdateFunctionConfiguration"], "Resource": ["arn:aws:lambda:eu-west-2:123456789012:function:drill-authoriser"]},
		{"Effect": "Deny", "Action": "lambda:UpdateFunctionConfiguration", "Resource": "*"},
		{"Effect": "Allow", "Action": "apigateway:GET", "Resource": "arn:aws:apigateway:eu-west-2::/restapis/d1r2i3l4l5/authorizers"},
		{"Effect": "Allow", "Action": "elasticache:DescribeReplicationGroups", "Resource": "arn:aws:elasticache:eu-west-2:*:replicationgroup:drill-oidc-cache"}
	]}`))
	if err != nil {
		t.Fatal(err)
	}
	logs, functions, caches := cloudwatchlogs.NewFromConfig(sdk(w)), lambda.NewFromConfig(sdk(w)), elasticache.NewFromConfig(sdk(w))
	for name, c := range map[string]struct {
		call   func() error
		denied bool
	}{
		"the log group": {func() error {
			_, err := logs.FilterLogEvents(t.Context(), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String(LogGroup)})
			return err
		}, false},
		"the log group by ARN": {func() error {
			_, err := logs.FilterLogEvents(t.Context(), &cloudwatchlogs.FilterLogEventsInput{LogGroupIdentifier: aws.String(groupARN(LogGroup))})
			return err
		}, false},
		"another log group": {func() error {
			_, err := logs.FilterLogEvents(t.Context(), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String(AccessLogGroup)})
			return err
		}, true},
		"streams": {func() error {
			_, err := logs.DescribeLogStreams(t.Context(), &cloudwatchlogs.DescribeLogStreamsInput{LogGroupName: aws.String(LogGroup)})
			return err
		}, true},
		"the function": {func() error {
			_, err := functions.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(Function)})
			return err
		}, false},
		"a version of it": {func() error {
			_, err := functions.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(Function), Qualifier: aws.String("1")})
			return err
		}, true},
		"what is denied in spite of an allow": {func() error {
			_, err := functions.UpdateFunctionConfiguration(t.Context(), &lambda.UpdateFunctionConfigurationInput{FunctionName: aws.String(Function), Description: aws.String("x")})
			return err
		}, true},
		"the cache": {func() error {
			_, err := caches.DescribeReplicationGroups(t.Context(), &elasticache.DescribeReplicationGroupsInput{ReplicationGroupId: aws.String(ReplicationGroup)})
			return err
		}, false},
		"all caches": {func() error {
			_, err := caches.DescribeReplicationGroups(t.Context(), &elasticache.DescribeReplicationGroupsInput{})
			return err
		}, true},
		"who am I": {func() error {
			_, err := sts.NewFromConfig(sdk(w)).GetCallerIdentity(t.Context(), nil)
			return err
		}, false},
	} {
		err := c.call()
		if code := errorCode(err); c.denied != strings.HasPrefix(code, "AccessDenied") || !c.denied && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	setup, err := theGateway(t, w).Setup(t.Context())
	if len(setup.Authorisers) != 2 || err == nil || !strings.Contains(err.Error(), "/restapis/d1r2i3l4l5/stages/live") {
		t.Errorf("setup %+v, %v", setup, err)
	}
	if err := theGateway(t, w).FlushResults(t.Context()); err == nil || !strings.Contains(err.Error(), "apigateway:DELETE") {
		t.Errorf("flush: %v", err)
	}
	if err := w.Permit(nil); err != nil {
		t.Fatal(err)
	}
	if err := theGateway(t, w).FlushResults(t.Context()); err != nil {
		t.Errorf("without a policy: %v", err)
	}
}

func TestPoliciesThatAreNone(t *testing.T) {
	w := quietWorld(t)
	for _, document := range []string{``, `{}`, `{"Statement": []}`, `{"Statement": [{"Effect": "Allow", "Action": "x"}]}`,
		`{"Statement": [{"Effect": "Allow", "Action": "x", "Resource": "*", "Condition": {}}]}`, `{"Statement": [{"Effect": "Perhaps", "Action": "x", "Resource": "*"}]}`} {
		if w.Permit([]byte(document)) == nil {
			t.Errorf("%s: taken", document)
		}
	}
}
