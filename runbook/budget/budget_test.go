package budget

import (
	"context"
	"strings"
	"testing"
	"time"
)

// Whatever is charged too often ends the budget, and the first reason stays.
func TestABudgetSaysWhatItLacked(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for want, c := range map[string]struct {
		ctx    context.Context
		limits Limits
		charge func(*Budget) bool
	}{
		"took more than 1 KiB of memory":            {t.Context(), Limits{Bytes: 1024}, func(b *Budget) bool { return b.Bytes(1024) && b.Bytes(1) }},
		"took more than 10 values":                  {t.Context(), Limits{Nodes: 10}, func(b *Budget) bool { return b.Nodes(10) && b.Nodes(1) }},
		"took more than 9 steps":                    {t.Context(), Limits{Steps: 9}, func(b *Budget) bool { return b.Steps(9) && b.Steps(1) }},
		"took more than 1 KiB of memory for values": {t.Context(), Limits{Bytes: 1024, Nodes: 1 << 20}, func(b *Budget) bool { return b.Nodes(1024/nodeBytes) && b.Nodes(1) }},
		"took longer than the check may take":       {cancelled, Limits{}, func(b *Budget) bool { return b.Steps(lookEvery) }},
		"took more than 0 ms":                       {t.Context(), Limits{Time: time.Nanosecond}, func(b *Budget) bool { return b.Steps(lookEvery) }},
	} {
		b := New(c.ctx, c.limits)
		if c.charge(b) || !strings.HasPrefix(want, b.Why()) || b.Why() == "" {
			t.Errorf("%q, want %q", b.Why(), want)
		}
		why := b.Why()
		if b.Bytes(1<<40) || b.Why() != why || !b.Spent() {
			t.Errorf("%q became %q", why, b.Why())
		}
	}
}

// Entries that cost a lot take the steps of a check, and what is to be kept of
// it, but never the part that an ordinary entry needs.
func TestNoEntryTakesTheShareOfTheOthers(t *testing.T) {
	check := New(t.Context(), Limits{Steps: 1_000_000, Kept: 100 << 10})
	for range 100 {
		share := check.Share(2 << 10)
		for share.Steps(1000) {
		}
		check.Keep(share, 50<<10)
	}
	share := check.Share(2 << 10)
	if !share.Steps(100_000) || !check.Keep(share, assuredKept) {
		t.Errorf("nothing is left for an ordinary entry: %q", share.Why())
	}
	if share := check.Share(2 << 10); share.Steps(400_000) || check.Keep(share, 200<<10) {
		t.Error("the check has no end")
	}
}
