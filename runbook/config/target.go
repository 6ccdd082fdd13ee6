package config

import (
	"strings"

	"jwksbot/runbook"
)

// Notes are what is in order and worth a second thought.
func (t *Target) Notes() []string {
	var out []string
	if len(t.Approval.Requesters) == 0 || len(t.Approval.Approvers) == 0 {
		out = append(out, "nobody can request or approve a mitigation, since approval.requesters or approval.approvers is empty")
	}
	if t.Approval.BreakGlass {
		out = append(out, "approval.break_glass is on: every requester may act alone, which is recorded and told to the approvers")
	}
	if e := t.Escalation; e.UserGroup == "" && e.PagerDutyKey == "" && e.SNSTopic == "" {
		out = append(out, "nobody is called when failures persist, since escalation has neither user_group nor pagerduty_key nor sns_topic")
	}
	if t.Gateway.RestAPI == "" && t.Gateway.HTTPAPI == "" {
		out = append(out, "the watch cannot tell the share of failures without gateway.rest_api or gateway.http_api, which count the requests")
	}
	return out
}

// Resource is what a flush changes: what is locked and cooled down.
func (c Cache) Resource() string {
	switch {
	case c.ReplicationGroup != "":
		return "replication group " + c.ReplicationGroup
	case c.Serverless != "":
		return "serverless cache " + c.Serverless
	}
	return "cache " + hosts(c.URL.Reveal())
}

// hosts is what may be said of a cache URL: never its user or password.
func hosts(raw string) string {
	var out []string
	for _, one := range strings.Split(raw, ",") {
		if _, rest, ok := strings.Cut(one, "://"); ok {
			one = rest
		}
		one = one[strings.LastIndex(one, "@")+1:]
		host, _, _ := strings.Cut(one, "/")
		out = append(out, strings.TrimSpace(host))
	}
	return strings.Join(out, ",")
}

// Policy is what the domain knows of it.
func (a Approval) Policy() runbook.Policy {
	return runbook.Policy{Viewers: a.Viewers, Requesters: a.Requesters, Approvers: a.Approvers,
		Required: a.Required, SelfApproval: a.SelfApproval, Expires: a.Expires, Cooldown: a.Cooldown, BreakGlass: a.BreakGlass, ServeOnly: !a.Local}
}

// Gated says that the API before the authoriser is known.
func (t Target) Gated() bool { return t.Gateway.RestAPI != "" || t.Gateway.HTTPAPI != "" }
