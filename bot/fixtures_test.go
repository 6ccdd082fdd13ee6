package bot

import (
	"errors"
	"time"

	"jwksbot/runbook"
)

// What people fill in, as Slack's client sends it: each block of a form holds
// one element of the same id.
const (
	blockTarget     = "target"
	blockTicket     = "ticket"
	blockReason     = "reason"
	blockAlso       = "also"
	blockOverride   = "override"
	blockBreakGlass = "break_glass"
	blockForce      = "force"
	blockDeny       = "deny_reason"
	blockStop       = "stop_reason"
	alsoRestart     = "restart"
)

// Event types of message metadata.
const (
	eventApproval = "jwksbot_approval"
	eventRun      = "jwksbot_run"
)

// noon is the moment of all fixtures: 03:00 on the night of a rotation.
var noon = time.Date(2026, 2, 14, 3, 0, 0, 0, time.UTC)

var errReadOnly = errors.New("the evidence of a test cannot be changed")

// entryName has no type of its own: it names an entry in a listing and in a plan.
const entryName = "jwks:eu-west-2_AbCdEfGhI"

func keyNamed(kid, print string) runbook.Key {
	return runbook.Key{Kid: kid, Thumbprint: print + "-NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", Kty: "RSA", Alg: "RS256", Use: "sig", Usable: true}
}

var (
	oldKey   = keyNamed("2025-11-09-k1", "Aold")
	liveKey  = keyNamed("2026-02-14-k2", "Bnew")
	liveKey2 = keyNamed("2026-02-14-k3", "Cnew")
	sam      = runbook.PersonRef{ID: "U0LEAD", Name: "Sam Okoro"}
)

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

// failuresOn are n tokens that were refused, all signed with one key.
func failuresOn(kid string, n int) *runbook.LogEvidence {
	ev := &runbook.LogEvidence{Group: "/aws/lambda/commandbridge-dev-actions", Since: noon.Add(-time.Hour), Until: noon, Pages: 3, Count: n, Classes: map[string]int{}}
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
	return ev
}
