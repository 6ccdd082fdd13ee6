package runbook

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// namedOffice is an office with three targets, of which each is for somebody else.
func namedOffice(t *testing.T) *office {
	t.Helper()
	o := newOffice(t)
	var targets []*Target
	for name, p := range map[string]Policy{
		"alpha-prod": {Viewers: []string{"U0ANN"}, Requesters: []string{"U0BEN"}},
		"beta-prod":  {Requesters: []string{"S0ONCALL"}},
		"gamma-prod": {Viewers: []string{"S0LEADS"}, Requesters: []string{"S0LEADS"}},
	} {
		t := *o.target
		t.Name, t.Policy = name, p
		targets = append(targets, &t)
	}
	var err error
	o.desk, err = NewDesk(DeskSettings{Targets: targets, Runner: o.runner, Ledger: o.ledger, Snapshots: o.snaps, People: o.people, Clock: o.clock})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Whatever somebody asks the desk who is no full member, or of whom nobody can
// say who they are: the answer holds no name.
func TestTheDeskNamesNoTargetToOutsiders(t *testing.T) {
	o := namedOffice(t)
	o.people.make(KindGuest, "U0GUE")
	o.people.make(KindStranger, "U0STR")
	o.people.make(KindBot, "U0BOT")
	o.people.make(KindGone, "U0OLD")
	for _, by := range []string{"U0GUE", "U0STR", "U0BOT", "U0OLD", "U0NOBODY", ""} {
		for _, name := range []string{"", "nowhere", "alpha-prod"} {
			for i, err := range everyQuestion(t.Context(), o.desk, name, by) {
				if !errors.As(err, new(*Refusal)) || strings.Contains(err.Error(), "-prod") {
					t.Errorf("question %d of %q about %q: %v", i, by, name, err)
				}
			}
		}
	}
	o.people.err = errors.New("slack is away")
	for i, err := range everyQuestion(t.Context(), o.desk, "nowhere", "U0ANN") {
		if err == nil || strings.Contains(err.Error(), "-prod") {
			t.Errorf("question %d of somebody unknown: %v", i, err)
		}
	}
}

// everyQuestion asks all that names a target.
func everyQuestion(ctx context.Context, d *Desk, target, by string) []error {
	_, view := d.View(ctx, target, by)
	_, checked := d.Check(ctx, target, by, Ask{}, Silent{})
	_, last := d.Last(ctx, target, by)
	_, may := d.MayRequest(ctx, target, by)
	req := request(by)
	req.Target = target
	_, _, request := d.Open(ctx, req, Silent{})
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
		seen, err := o.desk.Visible(t.Context(), c.by)
		if err != nil || shortNames(seen) != c.sees {
			t.Errorf("%s sees %q, %v; want %q", c.by, shortNames(seen), err, c.sees)
		}
		asks, err := o.desk.Requestable(t.Context(), c.by)
		if shortNames(asks) != c.asks || (err != nil) != (c.asks == "") {
			t.Errorf("%s may ask for %q, %v; want %q", c.by, shortNames(asks), err, c.asks)
		}
		_, err = o.desk.View(t.Context(), "nowhere", c.by)
		no := refused(t, err, RefusedTarget)
		if got := strings.Count(no.Text, "-prod"); got != len(strings.Fields(c.sees)) {
			t.Errorf("%s is told %q", c.by, no.Text)
		}
	}
}

func shortNames(targets []*Target) string {
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
	if text := NoTarget("x", names).Text; !strings.Contains(text, "t24 and 225 more.") || strings.Contains(text, "t25,") {
		t.Error(text)
	}
}
