package journal

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jwksbot/runbook"
)

func TestSightingsKeepTheFirstAndTheLastTime(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		j, ctx := open(t, url), t.Context()
		at := time.Date(2026, 2, 14, 3, 0, 0, 0, time.UTC)
		a, b := runbook.Key{Kid: "a+/=", Thumbprint: "ta"}, runbook.Key{Kid: "b", Thumbprint: "tb"}
		for i, keys := range [][]runbook.Key{{a}, {a, b}, {b, {Kid: "no thumbprint"}}} {
			if err := j.Seen(ctx, "production", keys, at.Add(time.Duration(i)*time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.Seen(ctx, "production", []runbook.Key{a}, at); err != nil { // a late report of an earlier check
			t.Fatal(err)
		}
		got, err := j.Sightings(ctx, "production")
		if err != nil {
			t.Fatal(err)
		}
		want := []runbook.Sighting{
			{Kid: "a+/=", Thumbprint: "ta", FirstSeen: at, LastSeen: at.Add(time.Hour)},
			{Kid: "b", Thumbprint: "tb", FirstSeen: at.Add(time.Hour), LastSeen: at.Add(2 * time.Hour)},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("sightings (-want +got):\n%s", diff)
		}
		if err := j.Settle(ctx, "production", []string{"ta"}); err != nil {
			t.Fatal(err)
		}
		if open, err := j.Unsettled(ctx, "production"); err != nil || len(open) != 1 || open[0].Kid != "b" {
			t.Errorf("unsettled are %v, %v, want b alone", open, err)
		}
		if other, err := j.Sightings(ctx, "staging"); err != nil || len(other) != 0 {
			t.Errorf("another target knows %v, %v", other, err)
		}
		if err := j.Seen(ctx, "production", []runbook.Key{b}, at.Add(9*24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if got, err = j.Sightings(ctx, "production"); err != nil || len(got) != 1 || got[0].Kid != "b" {
			t.Errorf("a key that is long gone is still remembered: %v, %v", got, err)
		}
	})
}

func TestLastFlushIsOfTheResource(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		j, ctx := open(t, url), t.Context()
		at := time.Date(2026, 2, 14, 3, 0, 0, 0, time.UTC)
		for i, r := range []runbook.Run{
			{ID: "a", Resource: "group one", State: runbook.StateDone, Receipts: []runbook.Receipt{{Step: string(runbook.FlushCache), EndedAt: at}}},
			{ID: "b", Resource: "group one", State: runbook.StateDenied},
			{ID: "c", Resource: "group two", State: runbook.StateDone, Receipts: []runbook.Receipt{{Step: string(runbook.FlushCache), EndedAt: at.Add(time.Hour)}}},
		} {
			r.CreatedAt = at.Add(time.Duration(i) * time.Minute)
			if err := j.Create(ctx, r); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := j.LastFlush(ctx, "group one"); err != nil || !got.Equal(at) {
			t.Errorf("last flush of group one is %v, %v, want %v", got, err, at)
		}
		if got, err := j.LastFlush(ctx, "group three"); err != nil || !got.IsZero() {
			t.Errorf("last flush of a group that was never flushed is %v, %v", got, err)
		}
	})
}
