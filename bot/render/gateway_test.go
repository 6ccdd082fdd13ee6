package render

import (
	"slices"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/check"
	"jwksbot/runbook/diagnose"
)

func gatewaySeen(kind runbook.APIKind, a runbook.GatewayAuthoriser) *runbook.GatewayEvidence {
	denied := 388
	ev := &runbook.GatewayEvidence{
		GatewaySetup: runbook.GatewaySetup{Kind: kind, ID: "a1b2c3d4e5", Name: "scotaccount-api", Stage: "prod", Authorisers: []runbook.GatewayAuthoriser{a}},
		Since:        noon.Add(-time.Hour), Until: noon, Denied: &denied, AtLeast: true,
	}
	for i := range 60 {
		p := runbook.GatewayPoint{At: noon.Add(time.Duration(i-60) * time.Minute), Requests: 120, ClientErrors: 2}
		if i >= 41 {
			p.ClientErrors = 41
		}
		ev.Points = append(ev.Points, p)
	}
	return ev
}

func lambdaAuthoriser() runbook.GatewayAuthoriser {
	return runbook.GatewayAuthoriser{ID: "au1", Name: "jwt-authoriser", Kind: runbook.LambdaAuthoriser, ResultTTL: 5 * time.Minute,
		Function: "commandbridge-dev-actions", Qualifier: "live"}
}

func functionSeen() *runbook.FunctionEvidence {
	return &runbook.FunctionEvidence{Function: "commandbridge-dev-actions", Qualifier: "live", Version: "7", Runtime: "provided.al2023",
		LastModified: noon.Add(-9 * 24 * time.Hour), State: "Active", UpdateStatus: "Successful", Provisioned: 2, Mode: runbook.RestartAlias}
}

// What is read of gateway and function stands in the thread, and says what a
// mitigation of them would do.
func TestGatewayEvidence(t *testing.T) {
	refused := functionSeen()
	refused.Mode, refused.Refusal = runbook.RestartNone, "the alias `live` sends 10 % to version 8: finish or undo that deployment first"
	for name, e := range map[string]runbook.Evidence{
		"lambda": {Gateway: gatewaySeen(runbook.RestAPI, lambdaAuthoriser()), Function: functionSeen()},
		"managed": {Gateway: gatewaySeen(runbook.HTTPAPI, runbook.GatewayAuthoriser{ID: "j1", Kind: runbook.ManagedJWT, Issuer: "https://cognito-idp.eu-west-2.amazonaws.com/eu-west-2_AbCdEfGhI"}),
			Function: refused},
	} {
		m := Message{Text: name, Blocks: append(gatewayBlocks(e.Gateway), functionBlocks(e.Function)...), Metadata: metadata(eventReport, "", "", "", "")}
		goldenMessage(t, "evidence/gateway_"+name, m)
		withinLimits(t, m)
	}
}

// A button for a mitigation that is not configured would only lead to a refusal.
func TestOnlyWhatIsConfiguredIsOffered(t *testing.T) {
	verdict := func(steps ...runbook.Mitigation) check.Report {
		r := check.Report{Target: "production"}
		r.Diagnosis.Verdict = runbook.Verdict{Finding: runbook.Finding{ID: diagnose.StaleMemory, Severity: runbook.SeverityCritical}, Recommended: steps}
		return r
	}
	ready := []check.Result{{Step: runbook.StepGateway, Status: runbook.StatusOK}, {Step: runbook.StepAuthoriser, Status: runbook.StatusError}}
	skipped := []check.Result{{Step: runbook.StepGateway, Status: runbook.StatusSkipped}, {Step: runbook.StepAuthoriser, Status: runbook.StatusSkipped}}
	for _, c := range []struct {
		recommended []runbook.Mitigation
		steps       []check.Result
		want        []string
	}{
		{[]runbook.Mitigation{runbook.RestartAuthoriser}, ready, []string{"Request restart primary", "Check again", "Details"}},
		{[]runbook.Mitigation{runbook.RestartAuthoriser}, skipped, []string{"Check again", "Details"}},
		{[]runbook.Mitigation{runbook.FlushGateway}, ready, []string{"Request gateway flush primary", "Check again", "Details"}},
		{[]runbook.Mitigation{runbook.RestartAuthoriser, runbook.FlushGateway}, ready, []string{"Request restart and gateway flush primary", "Check again", "Details"}},
		{[]runbook.Mitigation{runbook.FlushCache, runbook.RestartAuthoriser}, ready, []string{"Request flush and restart primary", "Check again", "Details"}},
		{[]runbook.Mitigation{runbook.FlushCache, runbook.RestartAuthoriser}, skipped, []string{"Request flush primary", "Check again", "Details"}},
	} {
		r := verdict(c.recommended...)
		r.Steps = c.steps
		if got := labelsOf(Report(r)); !slices.Equal(got, c.want) {
			t.Errorf("%v with %v: buttons %q, want %q", c.recommended, c.steps, got, c.want)
		}
	}
}

func TestSeriesOfAReport(t *testing.T) {
	e := staleEvidence()
	e.Gateway = gatewaySeen(runbook.RestAPI, lambdaAuthoriser())
	e.Flushed = noon.Add(-10 * time.Minute)
	e.History = []runbook.Sighting{{Kid: "a", FirstSeen: noon.Add(-30 * 24 * time.Hour)}, {Kid: "b", FirstSeen: noon.Add(-19 * time.Minute)}, {Kid: "c", FirstSeen: noon.Add(-19 * time.Minute)}}
	r := check.Report{Target: "production", Evidence: e, Question: check.Question{Since: noon.Add(-time.Hour), Until: noon}}
	s := SeriesOf(r)
	last := s.Failures[len(s.Failures)-1]
	if last.Failures != 21 || last.Requests != 120 || s.Title != "production: token failures ÷ requests" {
		t.Errorf("the last point is %+v, the title %q: failures of the log by requests of the gateway", last, s.Title)
	}
	if len(s.Marks) != 2 || s.Marks[0].Label != "new key seen" || s.Marks[1].Label != "flush" || len(s.Traffic) != 60 {
		t.Errorf("marks %+v, %d points of traffic", s.Marks, len(s.Traffic))
	}
	r.Evidence.Logged = failuresOn("", 0)
	if s := SeriesOf(r); s.Failures[59].Failures != 41 || s.Title != "production: client errors (4xx) ÷ requests" {
		t.Errorf("without failures in the log: %+v, %q", s.Failures[59], s.Title)
	}
	r.Evidence.Gateway = nil
	r.Evidence.History = r.Evidence.History[1:]
	if s := SeriesOf(r); s.Failures != nil || len(s.Marks) != 1 {
		t.Errorf("without a gateway: %d points, marks %+v; the keys of the first check are not new", len(s.Failures), s.Marks)
	}
}
