package runbooktest

import (
	"context"
	"testing"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
	"jwksbot/runbook/execute"
	"jwksbot/runbook/standin"
)

// BreakGlass asks to act alone.
func BreakGlass(why string) approve.Request {
	return Steps(func(r *approve.Request) { r.BreakGlass = why })
}

// World is the whole domain around a stale cache: a=1 is cached, b=2 is live.
type World struct {
	Clock   *standin.Clock
	Ledger  *standin.Ledger
	Snaps   *standin.Snapshots
	Cache   *standin.Cache
	Live    *standin.Live
	People  *Directory
	Target  *check.Target
	Runner  *check.Runner
	Service *approve.Service
	Machine *execute.Machine
	Changed []string

	ServiceSettings approve.Settings
	MachineSettings execute.Settings
}

// Build makes the service and the machine of the settings.
func (o *World) Build(t *testing.T) {
	t.Helper()
	var err error
	if o.Service, err = approve.New(o.ServiceSettings); err != nil {
		t.Fatal(err)
	}
	o.Machine = execute.New(o.MachineSettings)
}

// Guarded makes the machine ask guard before every effect.
func (o *World) Guarded(t *testing.T, guard func(context.Context) error) {
	t.Helper()
	o.MachineSettings.Guard = guard
	o.Build(t)
}

// Resource is what a flush of the world's target holds to itself.
const Resource = "replication group prod-cache"

// NewWorld is the world at three in the morning.
func NewWorld(t *testing.T) *World {
	t.Helper()
	o := &World{Clock: standin.NewClock(), Ledger: standin.NewLedger(), Snaps: standin.NewSnapshots(),
		Cache: standin.NewCache(map[string]string{"jwks:current": "keys a=1"}),
		Live:  &standin.Live{Answer: standin.Always(standin.Good("b=2"))},
		People: &Directory{Groups: map[string][]string{"S0ONCALL": {"U0ANN", "U0BEN"}, "S0LEADS": {"U0LEA", "U0LIZ"}},
			kinds: map[string]approve.Kind{}},
	}
	o.People.Make(approve.KindMember, "U0ANN", "U0BEN", "U0LEA", "U0LIZ", "U0EVE")
	o.Target = &check.Target{Name: "production", Issuer: "https://idp.example/pool", JWKSURL: "https://idp.example/pool/.well-known/jwks.json",
		Channel: "C0INC", Resource: Resource, Live: o.Live, Entries: o.Cache, Decode: standin.Decode,
		Policy: runbook.Policy{Requesters: []string{"S0ONCALL", "U0LEA"}, Approvers: []string{"S0LEADS", "U0ANN"}, Required: 1,
			Expires: approve.DefaultExpiry, Cooldown: approve.DefaultCooldown}}
	o.Runner = check.NewRunner(o.Clock, nil)
	o.ServiceSettings = approve.Settings{Targets: []*check.Target{o.Target}, Runner: o.Runner, Ledger: o.Ledger, Snapshots: o.Snaps, People: o.People, Clock: o.Clock}
	o.MachineSettings = execute.Settings{Targets: []*check.Target{o.Target}, Ledger: o.Ledger, Snapshots: o.Snaps, People: o.People, Clock: o.Clock,
		Changed: func(target string) { o.Changed = append(o.Changed, target); o.Runner.Forget(target) }}
	o.Build(t)
	return o
}

// Request asks for a flush of the target.
func Request(by string) approve.Request {
	return approve.Request{Target: "production", Ticket: "INC-2026-0214-001", Reason: "keys rotated at 02:40", By: by, Via: runbook.ViaSlack}
}

// Ask opens a request and returns the pending run.
func (o *World) Ask(t *testing.T, req approve.Request) runbook.Run {
	t.Helper()
	run, _, err := o.Service.Open(t.Context(), req, check.Silent{})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return run
}

// Click decides on the plan as it is now.
func (o *World) Click(t *testing.T, run runbook.Run, by string, kind runbook.DecisionKind) (approve.Answer, error) {
	t.Helper()
	now, err := o.Ledger.Run(t.Context(), run.ID)
	if err != nil {
		now.Generation = 1 // of a run that nobody knows
	}
	return o.Service.Decide(t.Context(), approve.Click{Run: run.ID, Generation: now.Generation, By: by, Kind: kind, Via: runbook.ViaSlack})
}

// Approve asks and approves; the run holds its resource then.
func (o *World) Approve(t *testing.T, req approve.Request) runbook.Run {
	t.Helper()
	a, err := o.Click(t, o.Ask(t, req), "U0LIZ", runbook.DecideApprove)
	if err != nil {
		t.Fatalf("approve: %v", err)
	}
	return a.Run
}

// Run reads a run.
func (o *World) Run(t *testing.T, id string) runbook.Run {
	t.Helper()
	r, err := o.Ledger.Run(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Steps makes a request for more than a flush.
func Steps(change func(*approve.Request)) approve.Request {
	req := Request("U0ANN")
	change(&req)
	return req
}
