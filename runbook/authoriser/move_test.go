package authoriser

import (
	"maps"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
)

// What goes wrong after the first write is no refusal, and leaves the alias
// where it was.
func TestTroubleOnTheWay(t *testing.T) {
	once := func(op string, set func(*lambdaService)) func(*lambdaService) {
		return func(s *lambdaService) {
			s.before = func(is string) {
				s.mu.Lock()
				defer s.mu.Unlock()
				if is == op {
					op = ""
					set(s)
				}
			}
		}
	}
	for _, c := range []struct {
		name  string
		set   func(s *lambdaService)
		alias string
		says  []string
	}{
		{"the update fails", func(s *lambdaService) { s.failUpdate = "no IP addresses left" }, "7", []string{"accepted", "update of $LATEST failed (no IP addresses left)"}},
		{"the update never ends", func(s *lambdaService) { s.takes = time.Hour }, "7", []string{"still going on after 10m0s"}},
		{"publishing is not permitted", func(s *lambdaService) {
			s.fail["PublishVersion"] = []fault{{status: 403, code: "AccessDeniedException"}}
		}, "7", []string{"allow lambda:PublishVersion on function:oidc-authoriser", "still points to version 7"}},
		{"somebody deploys meanwhile", once("PublishVersion", func(s *lambdaService) {
			s.versions[latest]["CodeSha256"], s.versions[latest]["RevisionId"] = "0ther", "rev-x"
		}), "7", []string{"somebody else changed $LATEST", "code", "nothing was published"}},
		{"the alias may not be moved", func(s *lambdaService) {
			s.fail["UpdateAlias"] = []fault{{status: 403, code: "AccessDeniedException"}}
		}, "7", []string{"allow lambda:UpdateAlias on function:oidc-authoriser", "version 8 was published and is not used"}},
		{"somebody moves the alias meanwhile", once("UpdateAlias", func(s *lambdaService) { s.alias["RevisionId"] = "alias-x" }), "7", []string{"somebody else changed the alias"}},
		{"concurrency is not to be had", once("UpdateAlias", func(s *lambdaService) {
			s.ready["live"] = config{"Status": "READY", "RequestedProvisionedConcurrentExecutions": 2}
			s.before = func(op string) {
				if op == "GetProvisionedConcurrencyConfig" {
					s.mu.Lock()
					defer s.mu.Unlock()
					s.ready["live"] = config{"Status": "FAILED", "StatusReason": "no capacity"}
				}
			}
		}), "8", []string{"points to version 8", "failed (no capacity)", "on demand"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			service, f := stage(t)
			service.withAlias(2)
			plan := planOf(t, f, "live")
			c.set(service)
			asError(t, second(f.Restart(t.Context(), plan, run, nil)), c.says...)
			if service.alias["FunctionVersion"] != c.alias {
				t.Errorf("alias points to %v", service.alias["FunctionVersion"])
			}
		})
	}
}

func TestMoveBackRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(s *lambdaService)
		says string
	}{
		{"the alias was moved on", func(s *lambdaService) {
			s.versions["9"] = maps.Clone(s.versions["7"])
			s.versions["9"]["Version"], s.alias["FunctionVersion"] = "9", "9"
		}, "points to version 9"},
		{"the alias was weighted", func(s *lambdaService) {
			s.alias["RoutingConfig"] = config{"AdditionalVersionWeights": config{"7": 0.1}}
		}, "shares its requests"},
		{"the old version is gone", func(s *lambdaService) { delete(s.versions, "7") }, "does not exist any more"},
		{"the old version is another one", func(s *lambdaService) { s.versions["7"]["CodeSha256"] = "0ther" }, "other code"},
		{"moved at the same time", func(s *lambdaService) {
			s.before = func(op string) {
				if op == "UpdateAlias" {
					s.mu.Lock()
					defer s.mu.Unlock()
					s.alias["RevisionId"] = "alias-x"
				}
			}
		}, "at the same time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			service, f := stage(t)
			service.withAlias(0)
			plan := planOf(t, f, "live")
			if _, err := f.Restart(t.Context(), plan, run, nil); err != nil {
				t.Fatal(err)
			}
			c.set(service)
			here, writes := service.alias["FunctionVersion"], len(service.writes)
			if r := asRefusal(t, second(f.MoveBack(t.Context(), plan, run)), runbook.RefusedChanged); !strings.Contains(r.Text, c.says) {
				t.Errorf("says %q", r.Text)
			}
			if service.alias["FunctionVersion"] != here || len(service.writes) != writes {
				t.Errorf("alias %v, wrote %q", service.alias, service.writes)
			}
		})
	}
	_, f := stage(t)
	asRefusal(t, second(f.MoveBack(t.Context(), planOf(t, f, ""), run)), runbook.RefusedNothing)
}
