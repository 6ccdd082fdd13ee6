package check

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/standin"
)

// function is a stand-in with an alias "live": as on AWS, another qualifier is
// not to be found.
func function(asked *[]string) inspectFunc {
	return func(q string) (runbook.FunctionEvidence, error) {
		*asked = append(*asked, q)
		ev := runbook.FunctionEvidence{Function: "auth", Qualifier: q, Runtime: "python3.12", LastModified: standin.T0.Add(-3 * time.Hour), State: "Active", UpdateStatus: "Successful"}
		switch q {
		case "":
			ev.Version, ev.Mode = "$LATEST", runbook.RestartLatest
		case "live":
			ev.Version, ev.Mode, ev.Provisioned = "7", runbook.RestartAlias, 5
		case "7":
			ev.Version, ev.Mode, ev.Refusal = "7", runbook.RestartNone, "a numbered version cannot be renewed: let the gateway invoke an alias"
		default:
			return runbook.FunctionEvidence{}, fmt.Errorf("function \"auth:%s\": not found", q)
		}
		return ev, nil
	}
}

func TestAuthoriserState(t *testing.T) {
	for _, c := range []struct {
		name  string
		setup setupFunc
		want  runbook.Status
		asked string
		says  []string
	}{
		{"no gateway configured", nil, runbook.StatusOK, "", []string{"`auth` (python3.12), last changed 3 h ago", "updates the configuration of `$LATEST`"}},
		{"$LATEST is invoked", setupIs(standin.SetupOf(standin.LambdaOf("jwks", "auth", "")), nil), runbook.StatusOK, "", []string{"updates the configuration of `$LATEST`"}},
		{"an alias is invoked", setupIs(standin.SetupOf(standin.LambdaOf("jwks", "auth", "live")), nil), runbook.StatusOK, "live",
			[]string{"`auth:live` (version 7, python3.12)", "publishes a new version of the same code and moves alias `live` to it; it can be moved back; it waits until 5 provisioned environments are ready"}},
		{"a version is invoked", setupIs(standin.SetupOf(standin.LambdaOf("jwks", "auth", "7")), nil), runbook.StatusWarn, "7", []string{"a restart would be refused: a numbered version"}},
		{"another function is invoked", setupIs(standin.SetupOf(standin.LambdaOf("jwks", "other", "")), nil), runbook.StatusWarn, "",
			[]string{"a restart would be refused: the gateway invokes `other`, not `auth`", "set authoriser.function to it"}},
		{"an alias of another function is invoked", setupIs(standin.SetupOf(standin.LambdaOf("jwks", "other", "blue")), nil), runbook.StatusWarn, "blue ", []string{"the gateway invokes `other:blue`, not this function"}},
		{"an alias that is gone is invoked", setupIs(standin.SetupOf(standin.LambdaOf("jwks", "auth", "gone")), nil), runbook.StatusError, "gone ", []string{"not found"}},
		{"its ARN is invoked", setupIs(standin.SetupOf(standin.LambdaOf("jwks", "arn:aws:lambda:eu-west-2:123456789012:function:auth", "live")), nil), runbook.StatusOK, "live", []string{"alias `live`"}},
		{"one of several authorisers is it", setupIs(standin.SetupOf(standin.LambdaOf("a", "other", "blue"), standin.LambdaOf("b", "auth", "live")), nil), runbook.StatusOK, " live", []string{"alias `live`"}},
		{"the gateway may not be read", setupIs(runbook.GatewaySetup{}, errors.New("allow apigateway:GET on /restapis/a1b2c3")), runbook.StatusWarn, "", []string{"$LATEST was looked at: allow apigateway:GET"}},
		{"no Lambda authoriser at all", setupIs(standin.SetupOf(runbook.GatewayAuthoriser{Name: "pool", Kind: runbook.ManagedUserPool}), nil), runbook.StatusWarn, "", []string{"invokes no Lambda authoriser"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			target, asked := fullTarget(), []string{}
			if c.setup != nil {
				target.API = c.setup
			}
			target.Function = function(&asked)
			report := checked(t, NewRunner(standin.NewClock(), nil), target, Ask{})
			s := report.Steps[5]
			if s.Status != c.want || strings.Join(asked, " ") != c.asked {
				t.Errorf("status %s, asked for %q: %s", s.Status, asked, s.Summary)
			}
			for _, says := range c.says {
				if !strings.Contains(s.Summary, says) {
					t.Errorf("summary %q does not say %q", s.Summary, says)
				}
			}
			if ev := report.Evidence.Function; strings.Contains(c.name, "another function") && (ev.Mode != runbook.RestartNone || ev.Refusal == "" || ev.Invoked != "other") {
				t.Errorf("a restart of a function that nobody invokes would not be refused: %+v", ev)
			}
		})
	}
}

// Accounts may have functions of the same name.
func TestAFunctionOfAnotherAccountIsAnotherFunction(t *testing.T) {
	const own, other = "arn:aws:lambda:eu-west-2:123456789012:function:auth", "arn:aws:lambda:eu-west-2:210987654321:function:auth"
	for arn, refused := range map[string]bool{own: false, other: true, "": false} {
		target := fullTarget()
		invoked := standin.LambdaOf("jwks", "auth", "")
		invoked.FunctionARN = arn
		target.API = setupIs(standin.SetupOf(invoked), nil)
		target.Function = inspectFunc(func(string) (runbook.FunctionEvidence, error) {
			return runbook.FunctionEvidence{Function: "auth", ARN: own, Mode: runbook.RestartLatest}, nil
		})
		report := checked(t, NewRunner(standin.NewClock(), nil), target, Ask{})
		ev, said := report.Evidence.Function, report.Steps[5].Summary
		if (ev.Mode == runbook.RestartNone) != refused || strings.Contains(said, "the gateway invokes `"+other+"`, not `"+own+"`") != refused {
			t.Errorf("%q is invoked: mode %s, %q", arn, ev.Mode, said)
		}
	}
}

// A function that is being changed is said to be.
func TestAuthoriserStateTells(t *testing.T) {
	target := fullTarget()
	target.Function = inspectFunc(func(string) (runbook.FunctionEvidence, error) {
		return runbook.FunctionEvidence{Function: "auth", State: "Pending", UpdateStatus: "InProgress", Mode: runbook.RestartLatest, Refusal: "an update is in progress: wait for its end"}, nil
	})
	s := checked(t, NewRunner(standin.NewClock(), nil), target, Ask{}).Steps[5]
	for _, says := range []string{"state Pending", "last update InProgress", "an update is in progress"} {
		if s.Status != runbook.StatusWarn || !strings.Contains(s.Summary, says) {
			t.Errorf("%s %q does not say %q", s.Status, s.Summary, says)
		}
	}
}
