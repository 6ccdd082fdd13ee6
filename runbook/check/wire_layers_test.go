package check_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"jwksbot/runbook"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/drill"
)

// denied permits everything but some actions.
func denied(t *testing.T, w *drill.World, actions ...string) {
	t.Helper()
	list, err := json.Marshal(actions)
	if err != nil {
		t.Fatal(err)
	}
	policy := fmt.Sprintf(`{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}, {"Effect": "Deny", "Action": %s, "Resource": "*"}]}`, list)
	if err := w.Permit([]byte(policy)); err != nil {
		t.Fatal(err)
	}
}

// A permission that is missing for one call is named with its remedy, and hides
// nothing that other calls bring.
func TestOneDeniedCallHidesNoOthers(t *testing.T) {
	for _, c := range []struct {
		action      string
		gateway     runbook.Status
		authoriser  runbook.Status
		says        string   // in one of the two steps
		stillSays   []string // in the two steps
		wantVerdict runbook.VerdictID
	}{
		{"apigateway:GET", runbook.StatusFail, runbook.StatusWarn, "apigateway:GET", []string{"denied (HTTP 401 or 403)", "$LATEST was looked at", "updates the configuration of `$LATEST`"}, diagnose.StaleCache},
		{"cloudwatch:GetMetricData", runbook.StatusWarn, runbook.StatusOK, "cloudwatch:GetMetricData", []string{"denied (HTTP 401 or 403)", "invoke `drill-authoriser`"}, diagnose.StaleCache},
		{"lambda:GetFunctionConfiguration", runbook.StatusFail, runbook.StatusError, "lambda:GetFunctionConfiguration", []string{"answered 4xx now", "denied (HTTP 401 or 403)", "invoke `drill-authoriser`"}, diagnose.StaleCache},
		{"logs:FilterLogEvents", runbook.StatusFail, runbook.StatusOK, "logs:FilterLogEvents", []string{"answered 4xx now", "invoke `drill-authoriser`"}, diagnose.StaleCache},
	} {
		t.Run(c.action, func(t *testing.T) {
			t.Parallel()
			w, target := start(t, drill.Options{Scenario: "stale"})
			denied(t, w, c.action)
			report := checked(t, target)
			gateway, function := report.Steps[4], report.Steps[5]
			text := gateway.Summary + "\n" + function.Summary
			if c.action == "apigateway:GET" && gateway.Status == runbook.StatusWarn {
				gateway.Status = c.gateway // without the API's name there are no metrics to see a spike in
			}
			if gateway.Status != c.gateway || function.Status != c.authoriser || report.Diagnosis.Verdict.ID != c.wantVerdict {
				t.Errorf("gateway-errors %s, authoriser %s, verdict %s\n%s", gateway.Status, function.Status, report.Diagnosis.Verdict.ID, text)
			}
			for _, says := range append(c.stillSays, c.says) {
				if !strings.Contains(text, says) {
					t.Errorf("%q is not said:\n%s", says, text)
				}
			}
			if strings.Count(text, "\n") != 1 {
				t.Errorf("a summary of more than one line:\n%s", text)
			}
			checkShape(t, report)
		})
	}
}

// What the two layers hold stands in the report for other programs.
func TestTheReportHasTheLayers(t *testing.T) {
	t.Parallel()
	_, target := start(t, drill.Options{Scenario: "memory-alias"})
	out := checkShape(t, checked(t, target))
	g, f := out.Gateway, out.Authoriser
	if !g.Read || g.Kind != "rest" || g.Stage != drill.Stage || g.Requests == 0 || g.ClientErrors == 0 || !g.Spike || g.Denied == 0 || len(g.Authorisers) == 0 || g.Authorisers[0].Qualifier != drill.Alias {
		t.Errorf("gateway %+v", g)
	}
	if !f.Read || f.Function != drill.Function || f.Qualifier != drill.Alias || f.Version == "" || f.LastModified == "" || f.Invoked != drill.Function || f.Restart != "alias" || f.Provisioned == 0 {
		t.Errorf("authoriser %+v", f)
	}
	target.API, target.Meter, target.Access, target.Function = nil, nil, nil, nil
	if out := checkShape(t, checked(t, target)); out.Gateway.Read || out.Gateway.Denied != -1 || out.Authoriser.Read {
		t.Errorf("not read: %+v, %+v", out.Gateway, out.Authoriser)
	}
}
