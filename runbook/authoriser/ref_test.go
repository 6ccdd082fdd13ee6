package authoriser

import (
	"strings"
	"testing"
)

func TestParseURI(t *testing.T) {
	const pre = "arn:aws:apigateway:eu-west-2:lambda:path/2015-03-31/functions/"
	variables := map[string]string{"alias": "live", "fn": "oidc-authoriser", "function": "arn:aws:lambda:eu-west-2:123456789012:function:oidc-authoriser:live", "empty": ""}
	for _, c := range []struct {
		name, uri               string
		function, qualifier, in string // in: the ARN
		err                     string
	}{
		{"latest", pre + "arn:aws:lambda:eu-west-2:123456789012:function:oidc-authoriser/invocations", "oidc-authoriser", "", "arn:aws:lambda:eu-west-2:123456789012:function:oidc-authoriser", ""},
		{"$LATEST by name", pre + "arn:aws:lambda:eu-west-2:123456789012:function:oidc-authoriser:$LATEST/invocations", "oidc-authoriser", "", "arn:aws:lambda:eu-west-2:123456789012:function:oidc-authoriser", ""},
		{"an alias", pre + "arn:aws:lambda:eu-west-2:123456789012:function:oidc-authoriser:live/invocations", "oidc-authoriser", "live", "arn:aws:lambda:eu-west-2:123456789012:function:oidc-authoriser", ""},
		{"a version", pre + "arn:aws:lambda:eu-west-2:123456789012:function:oidc-authoriser:7/invocations", "oidc-authoriser", "7", "arn:aws:lambda:eu-west-2:123456789012:function:oidc-authoriser", ""},
		{"another account, Region and partition", "arn:aws-us-gov:apigateway:us-gov-west-1:lambda:path/2015-03-31/functions/arn:aws-us-gov:lambda:us-gov-west-1:999999999999:function:shared/invocations", "shared", "", "arn:aws-us-gov:lambda:us-gov-west-1:999999999999:function:shared", ""},
		{"an alias in a stage variable", pre + "arn:aws:lambda:eu-west-2:123456789012:function:oidc-authoriser:${stageVariables.alias}/invocations", "oidc-authoriser", "live", "arn:aws:lambda:eu-west-2:123456789012:function:oidc-authoriser", ""},
		{"name and alias in stage variables", pre + "arn:aws:lambda:eu-west-2:123456789012:function:${stageVariables.fn}:${stageVariables.alias}/invocations", "oidc-authoriser", "live", "arn:aws:lambda:eu-west-2:123456789012:function:oidc-authoriser", ""},
		{"all in a stage variable", pre + "${stageVariables.function}/invocations", "oidc-authoriser", "live", "arn:aws:lambda:eu-west-2:123456789012:function:oidc-authoriser", ""},
		{"a bare name", pre + "oidc-authoriser:live/invocations", "oidc-authoriser", "live", "", ""},
		{"a variable that is missing", pre + "arn:aws:lambda:eu-west-2:123456789012:function:x:${stageVariables.nope}/invocations", "", "", "", "needs the stage variable nope"},
		{"a variable that is empty", pre + "arn:aws:lambda:eu-west-2:123456789012:function:x:${stageVariables.empty}/invocations", "", "", "", "names no Lambda function"},
		{"another service", "arn:aws:apigateway:eu-west-2:sqs:path/123/queue", "", "", "", "invokes no Lambda function"},
		{"nothing", "", "", "", "", "invokes no Lambda function"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := parseURI(c.uri, variables)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("got %v", err)
				}
				return
			}
			if err != nil || r.name != c.function || r.qualifier != c.qualifier || r.arn() != c.in {
				t.Errorf("%+v (%s), %v", r, r.arn(), err)
			}
		})
	}
}

// Whatever stands in a URI: a function that is found has a name and a qualifier
// that Lambda would take, and its ARN is read as the same function.
func FuzzParseURI(f *testing.F) {
	f.Add("arn:aws:apigateway:eu-west-2:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-2:123456789012:function:oidc-authoriser:${stageVariables.alias}/invocations", "live")
	f.Add("arn:aws:apigateway:eu-west-2:lambda:path/2015-03-31/functions/${stageVariables.alias}/invocations", "a:$LATEST")
	f.Add("/functions/x/invocations", "")
	f.Fuzz(func(t *testing.T, uri, value string) {
		r, err := parseURI(uri, map[string]string{"alias": value})
		if err != nil {
			return
		}
		if r.name == "" || strings.ContainsAny(r.name+r.qualifier, "/:$ \n") {
			t.Fatalf("%q with %q: %+v", uri, value, r)
		}
		if arn := r.arn(); arn != "" {
			again, err := parseRef(arn)
			if want := (ref{r.partition, r.region, r.account, r.name, ""}); err != nil || again != want {
				t.Fatalf("%q is read as %+v, %v", arn, again, err)
			}
		}
	})
}
