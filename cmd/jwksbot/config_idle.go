package main

import "fmt"

// idle names the settings that are read and that this version does not act on
// yet. Nobody may believe that somebody will be paged when nobody will.
func (c *config) idle() []string {
	var out []string
	for i, t := range c.Targets {
		set := []struct {
			name string
			is   bool
		}{
			{"authoriser.success_pattern", t.Authoriser.SuccessPattern != ""},
			{"gateway", t.Gateway != gatewayConfig{}},
			{"commandbridge", t.CommandBrdg.URL != ""},
			{"canary", t.Canary.URL != "" || t.Canary.TokenURL != ""},
			{"approval.break_glass", t.Approval.BreakGlass},
			{"watch.for", c.lines.line[fmt.Sprintf("targets[%d].watch.for", i)] > 0},
			{"escalation", t.Escalation.UserGroup != "" || t.Escalation.PagerDutyKey != "" || t.Escalation.SNSTopic != ""},
		}
		for _, s := range set {
			if s.is {
				out = append(out, fmt.Sprintf("target %s: %s is set, but this version does not act on it", t.Name, s.name))
			}
		}
	}
	return out
}
