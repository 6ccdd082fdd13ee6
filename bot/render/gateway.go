package render

import (
	"cmp"
	"fmt"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
	"jwksbot/runbook/diagnose"
)

// gatewayBlocks show what clients of the gateway see, and who judges their
// tokens there.
func gatewayBlocks(ev *runbook.GatewayEvidence) []slack.Block {
	if ev == nil {
		return nil
	}
	lines := []string{clientErrorText(ev)}
	if bars := gatewayBars(ev.Points); bars != "" {
		lines = append(lines, "4xx by time: "+bars)
	}
	if ev.Denied != nil {
		n := runbook.Plural(*ev.Denied, "answer", "answers")
		if ev.AtLeast {
			n = "at least " + n
		}
		lines = append(lines, "access log: "+n+" with HTTP 401 or 403 in the last "+runbook.Duration(ev.Until.Sub(ev.Since)))
	} else {
		lines = append(lines, "4xx counts every client error: the exact number of 401s needs `gateway.access_log_group`")
	}
	for i, a := range ev.Authorisers {
		if i == namesOnRun {
			lines = append(lines, moreLine(len(ev.Authorisers)-i)+" authorisers")
			break
		}
		lines = append(lines, authoriserText(a))
	}
	return []slack.Block{titled("Gateway "+prose(ev.Title(), LimitSentence), bullets(lines), maxRows, roomBlock)}
}

// clientErrorText is the share of client errors over the window, and since
// when it is out of the ordinary.
func clientErrorText(ev *runbook.GatewayEvidence) string {
	s := "client errors: " + shareText(ev.Points)
	if t, ok := diagnose.FindChangePoint(ev); ok && t.Spike {
		s += fmt.Sprintf("; they rose at %s, from %s to %s", atTime(t.At), runbook.ExactPercent(t.Before), runbook.ExactPercent(t.After))
	}
	return s
}

func shareText(points []runbook.GatewayPoint) string {
	var all, bad float64
	for _, p := range points {
		all += p.Requests
		bad += p.ClientErrors
	}
	if all <= 0 {
		return "no requests"
	}
	return fmt.Sprintf("%s of %s over %s", runbook.ExactPercent(bad/all), runbook.Plural(int(all), "request", "requests"), runbook.Duration(time.Duration(len(points))*time.Minute))
}

// gatewayBars draws client errors over time; a minute without data is a gap,
// which reads as no error.
func gatewayBars(points []runbook.GatewayPoint) string {
	counts := make([]runbook.MinuteCount, len(points))
	for i, p := range points {
		counts[i] = runbook.MinuteCount{At: p.At, Count: int(p.ClientErrors)}
	}
	return sparkline(counts)
}

// authoriserText says who judges tokens, and how long an answer is repeated.
func authoriserText(a runbook.GatewayAuthoriser) string {
	name := "authoriser " + Code(cmp.Or(a.Name, a.ID))
	switch a.Kind {
	case runbook.LambdaAuthoriser:
		s := name + " invokes " + prose(runbook.InvokedText(cmp.Or(a.Function, "an unknown function"), a.Qualifier, ""), LimitSentence)
		if a.ResultTTL <= 0 {
			return s + "; its answers are not cached"
		}
		return s + "; its answers are cached for " + runbook.Duration(a.ResultTTL)
	case runbook.ManagedJWT, runbook.ManagedUserPool:
		s := name + " is managed by AWS: the gateway validates tokens itself and keeps the keys for up to " + fmt.Sprintf("%g h", a.KeysKept().Hours()) + "; nobody can flush that"
		if a.Issuer != "" {
			s += "; issuer " + Code(a.Issuer)
		}
		return s
	}
	return name + " is of a kind that jwksbot does not know"
}

// functionBlocks show the authoriser's function and what a restart would do.
func functionBlocks(ev *runbook.FunctionEvidence) []slack.Block {
	if ev == nil {
		return nil
	}
	lines := []string{
		"invoked: " + prose(runbook.InvokedText(ev.Function, ev.Qualifier, ev.Version), LimitSentence),
		"last changed " + atDay(ev.LastModified) + "; state " + Quoted(cmp.Or(ev.State, "unknown"), LimitName) + ", last update " + Quoted(cmp.Or(ev.UpdateStatus, "unknown"), LimitName),
	}
	if ev.Runtime != "" {
		lines[0] += ", runtime " + Code(ev.Runtime)
	}
	if ev.Provisioned > 0 {
		lines = append(lines, runbook.Plural(ev.Provisioned, "environment is", "environments are")+" kept ready (provisioned concurrency)")
	}
	if ev.Refusal != "" {
		lines = append(lines, "⛔ a restart would be refused: "+prose(ev.Refusal, LimitSentence))
	} else {
		lines = append(lines, "a restart "+prose(ev.Mode.Text(ev.Qualifier, ev.Provisioned), LimitSentence))
	}
	return []slack.Block{titled("Authoriser function", bullets(lines), maxRows, roomBlock)}
}

// restartText says what a restart would do to this target, for a report.
func restartText(ev *runbook.FunctionEvidence) string {
	switch {
	case ev == nil:
		return ""
	case ev.Refusal != "":
		return " As things stand it would be refused: " + prose(ev.Refusal, LimitSentence)
	}
	return " A restart of " + prose(runbook.InvokedText(ev.Function, ev.Qualifier, ev.Version), LimitSentence) + " " + prose(ev.Mode.Text(ev.Qualifier, ev.Provisioned), LimitSentence) + ". A colleague has to approve it first."
}

// resultsText says what a flush of the gateway's results would do.
func resultsText(ev *runbook.GatewayEvidence) string {
	if ev == nil {
		return ""
	}
	s := " It empties the authoriser's result cache of " + prose(ev.Title(), LimitSentence)
	if ttl := longestTTL(ev.Authorisers); ttl > 0 {
		s += "; results expire by themselves after " + runbook.Duration(ttl)
	}
	return s + ". The effect cannot be read back. A colleague has to approve it first."
}

// longestTTL is how long a result of a Lambda authoriser may be repeated.
func longestTTL(all []runbook.GatewayAuthoriser) (longest time.Duration) {
	for _, a := range all {
		if a.Kind == runbook.LambdaAuthoriser {
			longest = max(longest, a.ResultTTL)
		}
	}
	return longest
}
