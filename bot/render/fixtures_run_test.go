package render

import (
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/diagnose"
)

// allRun asks for everything that a request can ask for at once.
func allRun() runbook.Run {
	r := pendingRun()
	p := &r.Plan
	p.Steps = []runbook.Mitigation{runbook.FlushCache, runbook.RestartAuthoriser, runbook.FlushGateway}
	p.Restart = &runbook.RestartPlan{Function: "commandbridge-dev-actions", Qualifier: "live", Version: "7", Mode: runbook.RestartAlias, Revision: "r1", CodeSHA: "c1", Provisioned: 2}
	p.Gateway = &runbook.GatewayPlan{Kind: runbook.RestAPI, API: "a1b2c3d4e5", Stage: "prod", Authorisers: []string{"jwt-authoriser"}, TTL: 5 * time.Minute}
	return r
}

// gatewayRun asks for the gateway alone.
func gatewayRun() runbook.Run {
	r := allRun()
	p := &r.Plan
	p.Steps, p.Entries, p.Restart = []runbook.Mitigation{runbook.FlushGateway}, nil, nil
	p.Verdict, p.Summary = diagnose.GatewayResults, "The cache holds the live keys and the authoriser accepts tokens, yet clients are denied: the gateway repeats old answers."
	return r
}

// undoRun asks for what another run deleted.
func undoRun(force bool) runbook.Run {
	r := pendingRun()
	p := &r.Plan
	p.Steps, p.Entries = []runbook.Mitigation{runbook.RestoreCache}, nil
	p.Restore = &runbook.RestorePlan{Of: "0214-aaaa2222", Force: force, Entries: []runbook.RestoreEntry{
		{Name: entryName, Shard: "0002", Fate: runbook.FateRewritten}, {Name: entryName + ":backup", Shard: "0001", Fate: runbook.FateGone},
		{Name: entryName + ":old", Shard: "0001", Fate: runbook.FateExpired}}}
	p.Verdict, p.Summary, p.Advice = diagnose.Healthy, "The cache holds the live keys.", "no verdict calls for an undo"
	r.Override, r.Reason = "the flush hit the wrong target", "undo run 0214-aaaa2222"
	return r
}

// pointsOf are minutes with 380 requests, of which so many failed.
func pointsOf(since time.Time, failed ...float64) []runbook.RatioPoint {
	var out []runbook.RatioPoint
	for i, n := range failed {
		if n < 0 {
			continue // could not be read
		}
		out = append(out, runbook.RatioPoint{At: since.Add(time.Duration(i) * time.Minute), Failures: n, Requests: 380})
	}
	return out
}

// restartRun is a flush with a restart, in one of its later states.
func restartRun(s runbook.State) runbook.Run {
	r := allRun()
	if s == runbook.StatePending {
		r.Plan.Steps, r.Plan.Entries, r.Plan.Gateway = []runbook.Mitigation{runbook.RestartAuthoriser}, nil, nil
		r.Plan.Verdict = diagnose.StaleMemory
		r.Plan.Summary = "The cache already holds the live keys, yet the authoriser still rejects tokens (97 failures in the last 5 min): it keeps old keys in memory."
		return r
	}
	r.State = s
	r.Decisions = []runbook.Decision{decisionOf(sam, runbook.DecideApprove, "", 1)}
	r.Receipts = []runbook.Receipt{
		receiptOf("snapshot", runbook.StatusOK, "2 entries kept (1,624 bytes)"),
		receiptOf(string(runbook.FlushCache), runbook.StatusOK, "2 old entries deleted on 2 shards"),
		receiptOf("verify", runbook.StatusOK, "0 of 2 old entries left on 3 shards; refilled with live keys after 4 s"),
	}
	if s == runbook.StateRestart {
		r.Progress.Text = "version 8 is published, waiting for 1 of 2 provisioned environments"
		return r
	}
	restarted := receiptOf(string(runbook.RestartAuthoriser), runbook.StatusOK, "alias live moved from version 7 to 8; 3 new environments have logged", "update finished at 03:02:41")
	restarted.EndedAt = restarted.StartedAt.Add(38 * time.Second)
	r.Receipts = append(r.Receipts, restarted)
	r.Restarted = &runbook.RestartResult{Version: "8", Previous: "7", UpdatedAt: restarted.EndedAt}
	if s == runbook.StateGateway {
		return r
	}
	r.Receipts = append(r.Receipts, receiptOf(string(runbook.FlushGateway), runbook.StatusOK, "API Gateway accepted it; the effect cannot be read back"))
	if s == runbook.StateConfirm {
		r.Progress.Text = "no success with a live kid yet"
		return r
	}
	r.Receipts = append(r.Receipts, receiptOf("confirm", runbook.StatusOK, "14 tokens with live key `2026-02-14-k2` were accepted since"))
	since := noon.Add(3 * time.Minute)
	r.Watch = &runbook.Watch{Since: since, Until: since.Add(15 * time.Minute), NextAt: since.Add(5 * time.Minute), Before: pointsOf(noon.Add(-10*time.Minute), 129, 131, 129),
		Points: pointsOf(since, 61, 22, -1, 8), Verdict: runbook.WatchOpen, Text: "minute 4 of 15: 2.1 % of 380 requests failed (before: 34 %)"}
	if s == runbook.StateEscalate {
		r.Watch.Points, r.Watch.Verdict = pointsOf(since, 61, 60, 59, 61, 70, 66, 61, 60, 62, 61, 63), runbook.WatchBreach
		r.Watch.Text = "minute 11 of 15: 16.6 % of 380 requests failed (before: 34 %)"
		r.Escalation = &runbook.Escalation{Kind: runbook.EscalateBreach, N: 1, At: since.Add(12 * time.Minute), Ratio: 0.166, Minutes: 11, Group: "S0LEADS",
			Why:      "16.6 % of requests failed token validation, above 10 % for 11 minutes after the flush of production.",
			Evidence: []string{"63 of 380 requests failed in the last minute", "before the flush: 34.0 %", "kid `2026-02-14-k2` fails most"},
			Pinged:   "1771038000.000900", Paged: since.Add(12 * time.Minute), Notes: []string{"SNS topic arn:aws:sns:eu-west-2:123456789012:alarms: AccessDenied: sns:Publish is missing"}}
	}
	return r
}

// ended brings a watched run to its end.
func ended(r runbook.Run, s runbook.State, verdict runbook.WatchVerdict, outcome string) runbook.Run {
	r.State, r.EndedAt, r.Outcome = s, noon.Add(19*time.Minute), outcome
	r.Watch.EndedAt, r.Watch.Verdict = r.EndedAt, verdict
	r.Watch.Text = outcome
	return r
}
