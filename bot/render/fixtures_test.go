package render

import (
	"context"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/diagnose"
)

// noon is the fixed moment of all fixtures: 03:00 on the night of a rotation.
var noon = time.Date(2026, 2, 14, 3, 0, 0, 0, time.UTC)

func keyNamed(kid, print string) runbook.Key {
	return runbook.Key{Kid: kid, Thumbprint: print + "-NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", Kty: "RSA", Alg: "RS256", Use: "sig", Usable: true}
}

var (
	oldKey     = keyNamed("2025-11-09-k1", "Aold")
	liveKey    = keyNamed("2026-02-14-k2", "Bnew")
	liveKey2   = keyNamed("2026-02-14-k3", "Cnew")
	foreignOne = "jwks:eu-west-2_ZyXwVuTsR"
)

// entryName has no type of its own: it names an entry in a listing and in a plan.
const entryName = "jwks:eu-west-2_AbCdEfGhI"

func setOf(keys ...runbook.Key) runbook.KeySet {
	return runbook.KeySet{Shape: runbook.ShapeSet, Usable: len(keys), Keys: keys}
}

func probeOf(keys ...runbook.Key) runbook.Probe {
	return runbook.Probe{At: noon, Duration: 84 * time.Millisecond, Status: 200, ContentType: "application/json", Size: 1204,
		TLS: "TLS 1.3", CacheControl: "public, max-age=86400", Set: setOf(keys...)}
}

func brokenProbe(status int, problem string) runbook.Probe {
	return runbook.Probe{At: noon, Duration: 91 * time.Millisecond, Status: status, ContentType: "text/html", Size: 512, TLS: "TLS 1.3", Problem: problem}
}

func unreachableProbe() runbook.Probe {
	return runbook.Probe{At: noon, Duration: 2 * time.Second, Unreachable: true, Problem: "no connection: lookup cognito-idp.eu-west-2.amazonaws.com: no such host"}
}

func liveWith(probes ...runbook.Probe) *runbook.LiveEvidence {
	return &runbook.LiveEvidence{URL: "https://cognito-idp.eu-west-2.amazonaws.com/eu-west-2_AbCdEfGhI/.well-known/jwks.json", Probes: probes}
}

func entryOf(name string, ttl time.Duration, keys ...runbook.Key) runbook.Entry {
	return runbook.Entry{Name: name, Shard: "0002", Type: "string", TTL: ttl, Bytes: 812, Digest: "d1",
		Reading: runbook.Reading{Format: "JSON key set", Content: runbook.ContentKeys, Set: setOf(keys...)}}
}

func cacheWith(entries ...runbook.Entry) *runbook.CacheEvidence {
	return &runbook.CacheEvidence{
		Shards:  []runbook.Shard{{Name: "0001"}, {Name: "0002"}, {Name: "0003"}},
		Entries: entries, Others: 41210,
	}
}

func failuresOn(kid string, n int) *runbook.LogEvidence {
	ev := &runbook.LogEvidence{Group: "/aws/lambda/commandbridge-dev-actions", Since: noon.Add(-time.Hour), Until: noon,
		Pattern: `?"invalid_signature" ?"unknown kid"`, Pages: 3, Count: n, Classes: map[string]int{}}
	if n == 0 {
		return ev
	}
	ev.Classes = map[string]int{runbook.ClassBadSignature: n - 12, runbook.ClassUnknownKid: 12}
	ev.Kids = []runbook.KidCount{{Kid: kid, Count: n}}
	for i := range 60 {
		m := runbook.MinuteCount{At: noon.Add(time.Duration(i-60) * time.Minute)}
		if i >= 41 {
			m.Count = n / 19
		}
		ev.PerMinute = append(ev.PerMinute, m)
	}
	for i := range 4 {
		ev.Samples = append(ev.Samples, runbook.LogSample{At: noon.Add(-time.Duration(i+1) * 7 * time.Second), Class: runbook.ClassBadSignature, Kid: kid,
			Text: `{"level":"warn","msg":"invalid_signature","kid":"` + kid + `","token":"[redacted token]"}`})
	}
	return ev
}

func steadyTraffic() *runbook.TrafficEvidence {
	ev := &runbook.TrafficEvidence{Nodes: []string{"production-oidc-cache-0001-001", "production-oidc-cache-0002-001"}}
	for i := range 60 {
		ev.Points = append(ev.Points, runbook.TrafficPoint{At: noon.Add(time.Duration(i-60) * time.Minute), Hits: 990, Misses: 10})
	}
	return ev
}

// frozen is a clock that stands still.
type frozen struct{ now time.Time }

func (c frozen) Now() time.Time                                  { return c.now }
func (c frozen) Wait(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// staleEvidence is the main story: the cache lacks a live key and users fail on it.
func staleEvidence() runbook.Evidence {
	foreign := entryOf(foreignOne, 20*time.Minute, keyNamed("other", "Xoth"))
	foreign.Foreign = "eu-west-2_ZyXwVuTsR"
	return runbook.Evidence{
		Live:   liveWith(probeOf(liveKey, liveKey2), probeOf(liveKey, liveKey2), probeOf(liveKey, liveKey2)),
		Cached: cacheWith(entryOf(entryName, 43*time.Minute, oldKey, liveKey2), foreign),
		Logged: failuresOn(liveKey.Kid, 412), Traffic: steadyTraffic(),
	}
}

// situations are one piece of evidence for each verdict of the main job.
func situations() map[string]runbook.Evidence {
	sound := liveWith(probeOf(liveKey, liveKey2), probeOf(liveKey, liveKey2), probeOf(liveKey, liveKey2))
	rubbish := runbook.Entry{Name: entryName, Shard: "0002", Type: "string", TTL: runbook.NoExpiry, Bytes: 512,
		Reading: runbook.Reading{Format: "HTML", Content: runbook.ContentPoison, Note: "HTML page, 512 bytes"}}
	rekeyed := liveKey
	rekeyed.Thumbprint = "Dold-thumbprint-of-the-same-kid"
	with := func(change func(*runbook.Evidence)) runbook.Evidence {
		e := staleEvidence()
		change(&e)
		return e
	}
	return map[string]runbook.Evidence{
		"stale_cache": staleEvidence(),
		"healthy": with(func(e *runbook.Evidence) {
			e.Cached, e.Logged = cacheWith(entryOf(entryName, 43*time.Minute, liveKey, liveKey2)), failuresOn("", 0)
		}),
		"rekeyed_kid": with(func(e *runbook.Evidence) {
			e.Cached = cacheWith(entryOf(entryName, runbook.NoExpiry, rekeyed, liveKey2))
		}),
		"poisoned_cache": with(func(e *runbook.Evidence) { e.Cached = cacheWith(rubbish) }),
		"retired_key_cached": with(func(e *runbook.Evidence) {
			e.Cached, e.Logged = cacheWith(entryOf(entryName, time.Hour, oldKey, liveKey, liveKey2)), failuresOn("", 0)
		}),
		"live_unhealthy": with(func(e *runbook.Evidence) {
			p := brokenProbe(503, "HTTP 503 with an HTML page instead of a key set")
			e.Live = liveWith(p, p, p)
		}),
		"live_disagrees": with(func(e *runbook.Evidence) {
			e.Live = liveWith(probeOf(liveKey, liveKey2), probeOf(oldKey, liveKey2), probeOf(liveKey, liveKey2))
		}),
		"inconclusive": with(func(e *runbook.Evidence) {
			e.Live, e.Logged = liveWith(unreachableProbe(), unreachableProbe(), unreachableProbe()), nil
			e.Unread = map[string]string{runbook.StepLoggedKeys: "read log group \"/aws/lambda/commandbridge-dev-actions\": AccessDeniedException: logs:FilterLogEvents is missing"}
		}),
		"stale_memory": with(func(e *runbook.Evidence) {
			e.Cached, e.Gateway, e.Function = cacheWith(entryOf(entryName, 43*time.Minute, liveKey, liveKey2)), gatewaySeen(runbook.RestAPI, lambdaAuthoriser()), functionSeen()
		}),
		"gateway_result_cache": with(func(e *runbook.Evidence) {
			e.Cached, e.Logged = cacheWith(entryOf(entryName, 43*time.Minute, liveKey, liveKey2)), failuresOn("", 0)
			e.Gateway, e.Function = gatewaySeen(runbook.RestAPI, lambdaAuthoriser()), functionSeen()
		}),
		"managed_jwt_authoriser": with(func(e *runbook.Evidence) {
			e.Cached, e.Logged = cacheWith(entryOf(entryName, 43*time.Minute, liveKey, liveKey2)), failuresOn("", 0)
			e.Gateway = gatewaySeen(runbook.HTTPAPI, runbook.GatewayAuthoriser{ID: "j1", Kind: runbook.ManagedJWT, Issuer: "https://cognito-idp.eu-west-2.amazonaws.com/eu-west-2_AbCdEfGhI"})
		}),
		"cold": with(func(e *runbook.Evidence) { e.Cached, e.Logged = cacheWith(), failuresOn("", 0) }),
		"leak": with(func(e *runbook.Evidence) {
			s := sound.Probes[0].Set
			s.PrivatePublished = true
			for i := range e.Live.Probes {
				e.Live.Probes[i].Set = s
			}
			e.Cached, e.Logged = cacheWith(entryOf(entryName, 43*time.Minute, liveKey, liveKey2)), failuresOn("", 0)
		}),
	}
}

var (
	robin = runbook.PersonRef{ID: "U0ONCALL", Name: "Robin Ashe"}
	sam   = runbook.PersonRef{ID: "U0LEAD", Name: "Sam Okoro"}
)

func stalePlan() runbook.Plan {
	return runbook.Plan{
		Target: "production", Resource: "replication group production-scotaccount-oidc-cache", Scope: runbook.ScopeKeys,
		Entries: []runbook.PlanEntry{
			{Name: entryName, Shard: "0002", Format: "JSON key set", Kids: []string{oldKey.Kid, liveKey2.Kid}, Thumbprints: []string{oldKey.Thumbprint, liveKey2.Thumbprint}, Meaning: "keys 1"},
			{Name: entryName + ":backup", Shard: "0001", Format: "gzip > JSON key set", Kids: []string{oldKey.Kid}, Thumbprints: []string{oldKey.Thumbprint}, Meaning: "keys 2"},
		},
		Live: []string{liveKey.Thumbprint, liveKey2.Thumbprint}, Verdict: diagnose.StaleCache,
		Summary: diagnose.Diagnose(staleEvidence()).Verdict.Summary, Others: 41210, Shards: 3, Current: 1, Foreign: 1, Digest: "3f9a0c77d1e2",
	}
}

func pendingRun() runbook.Run {
	return runbook.Run{
		ID: "0214-k7m2p9qx", Target: "production", Resource: stalePlan().Resource, State: runbook.StatePending, Generation: 1, Version: 1,
		Plan: stalePlan(), Requester: robin, Via: runbook.ViaSlack, Ticket: "INC-2026-0214-001", Reason: "keys rotated at 02:40, sign-ins fail since then",
		Required: 1, CreatedAt: noon, ExpiresAt: noon.Add(15 * time.Minute), RemindAt: noon.Add(450 * time.Second),
		Post: runbook.Post{Channel: "C0BRIDGE", TS: "1771038000.000100"},
	}
}

func decisionOf(by runbook.PersonRef, kind runbook.DecisionKind, reason string, generation int) runbook.Decision {
	return runbook.Decision{By: by, Kind: kind, Reason: reason, Generation: generation, At: noon.Add(2 * time.Minute), Via: runbook.ViaSlack}
}

func receiptOf(step string, status runbook.Status, summary string, proof ...string) runbook.Receipt {
	return runbook.Receipt{Step: step, Status: status, Summary: summary, Proof: proof, StartedAt: noon.Add(2 * time.Minute), EndedAt: noon.Add(2*time.Minute + 140*time.Millisecond)}
}

// inState brings the run of the main story into a state.
func inState(s runbook.State) runbook.Run {
	r := pendingRun()
	if s == runbook.StatePending {
		return r
	}
	r.State = s
	if s.Ended() {
		r.EndedAt = noon.Add(3 * time.Minute)
	}
	kept := receiptOf("snapshot", runbook.StatusOK, "2 entries kept (1,624 bytes)", "digest of what was kept: 9f2c1a7b3d4e5f60")
	gone := receiptOf(string(runbook.FlushCache), runbook.StatusOK, "2 old entries deleted on 2 shards")
	back := receiptOf("verify", runbook.StatusOK, "0 of 2 old entries left on 3 shards; refilled with live keys after 4 s", "`"+entryName+"` now holds `2026-02-14-k2`, `2026-02-14-k3`")
	switch s {
	case runbook.StateDenied:
		r.Decisions = []runbook.Decision{decisionOf(sam, runbook.DecideDeny, "wait for the second edge", 1)}
		r.Outcome = "Sam Okoro denied it: wait for the second edge"
		return r
	case runbook.StateWithdrawn:
		r.Decisions = []runbook.Decision{decisionOf(robin, runbook.DecideWithdraw, "", 1)}
		r.Outcome = "Robin Ashe withdrew it."
		return r
	case runbook.StateExpired:
		r.Outcome = "Nobody decided within 15 min. Nothing was touched."
		return r
	case runbook.StateObsolete:
		r.Outcome = "Nothing is left to do: every planned entry is gone or was rewritten in the meantime."
		return r
	}
	r.Decisions = []runbook.Decision{decisionOf(sam, runbook.DecideApprove, "", 1)}
	r.ApprovedAt, r.StartBy = noon.Add(2*time.Minute), noon.Add(12*time.Minute)
	switch s {
	case runbook.StateRestart, runbook.StateGateway, runbook.StateConfirm, runbook.StateWatch, runbook.StateEscalate:
		return restartRun(s)
	case runbook.StateRestore:
		r = undoRun(false)
		r.State, r.Decisions = s, []runbook.Decision{decisionOf(sam, runbook.DecideApprove, "", 1)}
		return r
	case runbook.StateFlush:
		r.Receipts, r.Progress = []runbook.Receipt{kept}, runbook.Progress{Done: 1500, Total: 4000}
	case runbook.StateVerify:
		r.Receipts = []runbook.Receipt{kept, gone}
	case runbook.StateDone:
		r.Receipts, r.Outcome = []runbook.Receipt{kept, gone, back}, "Proven: "+back.Summary+". Every cached key is a live key."
	case runbook.StateFailed:
		back.Status, back.Summary, back.Proof = runbook.StatusFail, "0 of 2 old entries left on 3 shards; came back stale: `"+entryName+"`", nil
		back.Finding = runbook.FoundStale
		r.Receipts = []runbook.Receipt{kept, gone, back}
		r.Outcome = "The old keys came back: an authoriser wrote its old copy into the cache again. Restart the authoriser first, then flush again."
	}
	return r
}
