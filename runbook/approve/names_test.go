package approve_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
	"jwksbot/runbook/runbooktest"
	"jwksbot/runbook/standin"
)

// namedOffice is an office with three targets, of which each is for somebody else.
func namedOffice(t *testing.T) *runbooktest.World {
	t.Helper()
	o := runbooktest.NewWorld(t)
	var targets []*check.Target
	for name, p := range map[string]runbook.Policy{
		"alpha-prod": {Viewers: []string{"U0ANN"}, Requesters: []string{"U0BEN"}},
		"beta-prod":  {Requesters: []string{"S0ONCALL"}},
		"gamma-prod": {Viewers: []string{"S0LEADS"}, Requesters: []string{"S0LEADS"}},
	} {
		t := *o.Target
		t.Name, t.Policy = name, p
		targets = append(targets, &t)
	}
	var err error
	o.Service, err = approve.New(approve.Settings{Targets: targets, Runner: o.Runner, Ledger: o.Ledger, Snapshots: o.Snaps, People: o.People, Clock: o.Clock})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Whatever somebody asks the service who is no full member, or of whom nobody can
// say who they are: the answer holds no name.
func TestTheServiceNamesNoTargetToOutsiders(t *testing.T) {
	o := namedOffice(t)
	o.People.Make(approve.KindGuest, "U0GUE")
	o.People.Make(approve.KindStranger, "U0STR")
	o.People.Make(approve.KindBot, "U0BOT")
	o.People.Make(approve.KindGone, "U0OLD")
	for _, by := range []string{"U0GUE", "U0STR", "U0BOT", "U0OLD", "U0NOBODY", ""} {
		for _, name := range []string{"", "nowhere", "alpha-prod"} {
			for i, err := range everyQuestion(t.Context(), o.Service, name, by) {
				if !errors.As(err, new(*runbook.Refusal)) || strings.Contains(err.Error(), "-prod") {
					t.Errorf("question %d of %q about %q: %v", i, by, name, err)
				}
			}
		}
	}
	o.People.Err = errors.New("slack is away")
	for i, err := range everyQuestion(t.Context(), o.Service, "nowhere", "U0ANN") {
		if err == nil || strings.Contains(err.Error(), "-prod") {
			t.Errorf("question %d of somebody unknown: %v", i, err)
		}
	}
}

// everyQuestion asks all that names a target.
func everyQuestion(ctx context.Context, d *approve.Service, target, by string) []error {
	_, view := d.View(ctx, target, by)
	_, checked := d.Check(ctx, target, by, check.Ask{}, check.Silent{})
	_, last := d.Last(ctx, target, by)
	_, may := d.MayRequest(ctx, target, by)
	req := runbooktest.Request(by)
	req.Target = target
	_, _, request := d.Open(ctx, req, check.Silent{})
	_, visible := d.Visible(ctx, by)
	_, all := d.ViewAll(ctx, by)
	_, requestable := d.Requestable(ctx, by)
	return []error{view, checked, last, may, request, visible, all, requestable}
}

func TestWhoSeesWhichTargets(t *testing.T) {
	o := namedOffice(t)
	for _, c := range []struct{ by, sees, asks string }{
		{"U0ANN", "alpha beta", "beta"},
		{"U0BEN", "beta", "alpha beta"},
		{"U0LEA", "beta gamma", "gamma"},
		{"U0EVE", "beta", ""},
	} {
		seen, err := o.Service.Visible(t.Context(), c.by)
		if err != nil || shortNames(seen) != c.sees {
			t.Errorf("%s sees %q, %v; want %q", c.by, shortNames(seen), err, c.sees)
		}
		asks, err := o.Service.Requestable(t.Context(), c.by)
		if shortNames(asks) != c.asks || (err != nil) != (c.asks == "") {
			t.Errorf("%s may ask for %q, %v; want %q", c.by, shortNames(asks), err, c.asks)
		}
		_, err = o.Service.View(t.Context(), "nowhere", c.by)
		no := standin.Refused(t, err, approve.RefusedTarget)
		if got := strings.Count(no.Text, "-prod"); got != len(strings.Fields(c.sees)) {
			t.Errorf("%s is told %q", c.by, no.Text)
		}
	}
}

func shortNames(targets []*check.Target) string {
	found := map[string]bool{}
	for _, t := range targets {
		found[strings.TrimSuffix(t.Name, "-prod")] = true
	}
	var out []string
	for _, n := range []string{"alpha", "beta", "gamma"} {
		if found[n] {
			out = append(out, n)
		}
	}
	return strings.Join(out, " ")
}

func TestManyNamesAreCounted(t *testing.T) {
	var names []string
	for i := range 250 {
		names = append(names, fmt.Sprint("t", i))
	}
	if text := approve.NoTarget("x", names).Text; !strings.Contains(text, "t24 and 225 more.") || strings.Contains(text, "t25,") {
		t.Error(text)
	}
}
