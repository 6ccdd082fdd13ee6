package execute

import (
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/standin"
)

var gap = [][]float64{nil}

// The rule of the runbook: above 10 % for more than 10 minutes.
func TestBreachIsTheEleventhMinuteAbove(t *testing.T) {
	policy := runbook.WatchPolicy{Ratio: 0.10, Over: 10 * time.Minute, MinRequests: 20}
	above, limit, calm := []float64{101, 1000}, []float64{100, 1000}, []float64{0, 1000}
	for name, c := range map[string]struct {
		minutes [][]float64
		breach  bool
		above   int
	}{
		"ten minutes":                        {standin.Times(10, above...), false, 10},
		"eleven minutes":                     {standin.Times(11, above...), true, 11},
		"10.0 % for an hour":                 {standin.Times(60, limit...), false, 0},
		"everything fails for ten minutes":   {standin.Times(10, 1000, 1000), false, 10},
		"a calm minute resets":               {standin.Join(standin.Times(10, above...), standin.Times(1, calm...), standin.Times(10, above...)), false, 10},
		"a minute at the limit resets":       {standin.Join(standin.Times(10, above...), standin.Times(1, limit...), standin.Times(10, above...)), false, 10},
		"a gap does not count":               {standin.Join(standin.Times(10, above...), gap), false, 10},
		"nor does a long one":                {standin.Join(standin.Times(10, above...), gap, gap, gap, gap, gap), false, 10},
		"a gap does not reset":               {standin.Join(standin.Times(5, above...), gap, gap, standin.Times(6, above...)), true, 11},
		"gaps everywhere":                    {standin.Join(standin.Times(4, above...), gap, standin.Times(4, above...), gap, standin.Times(2, above...), gap), false, 10},
		"pools count their minutes":          {standin.Times(12, 1, 5), true, 12}, // four minutes hold 20 requests
		"an open pool does not count yet":    {standin.Times(11, 1, 5), false, 8},
		"a pool is judged as a whole":        {standin.Join(standin.Times(3, 0, 5), standin.Times(1, 2, 5), standin.Times(8, 1, 5)), false, 8},
		"too little traffic is in no pool":   {standin.Times(15, 1, 1), false, 0},
		"quiet minutes say nothing":          {standin.Times(30, 0, 0), false, 0},
		"just enough traffic is its minutes": {standin.Times(20, 1, 1), true, 20},
	} {
		o := judge(policy, standin.PointsOf(c.minutes...))
		if o.breach != c.breach || o.above != c.above {
			t.Errorf("%s: breach %t after %d minutes above, want %t after %d", name, o.breach, o.above, c.breach, c.above)
		}
	}
}

func TestPooling(t *testing.T) {
	policy := runbook.WatchPolicy{Ratio: 0.10, Over: 10 * time.Minute, MinRequests: 20}
	o := judge(policy, standin.PointsOf(standin.Join(standin.Times(3, 1, 8), gap, standin.Times(1, 0, 30), standin.Times(2, 0, 5))...))
	if len(o.pools) != 2 || o.pools[0].minutes != 3 || o.pools[0].requests != 24 || o.pools[1].minutes != 1 || o.loose.minutes != 2 || o.covered != 4 {
		t.Errorf("%+v", o)
	}
	if o.above != 0 || o.calm != 1 {
		t.Errorf("above %d, calm %d", o.above, o.calm)
	}
	if none := judge(policy, standin.PointsOf(standin.Times(15, 1, 1)...)); none.settled(15) || none.covered != 0 {
		t.Errorf("15 requests in 15 minutes: %+v", none)
	}
	if few := judge(policy, standin.PointsOf(standin.Join(standin.Times(5, 0, 100), standin.Times(10, 0, 1))...)); few.settled(15) {
		t.Errorf("a third of the minutes speaks for all: %+v", few)
	}
	if most := judge(policy, standin.PointsOf(standin.Join(standin.Times(8, 0, 100), standin.Times(7, 0, 1))...)); !most.settled(15) {
		t.Errorf("%+v", most)
	}
}

func TestMergeLeavesOnePointAMinute(t *testing.T) {
	old := standin.PointsOf([]float64{1, 10}, []float64{2, 10}, nil, []float64{4, 10})
	fresh := standin.PointsOf(nil, []float64{20, 100}, []float64{30, 100}, nil, []float64{50, 100})
	want := standin.PointsOf([]float64{1, 10}, []float64{20, 100}, []float64{30, 100}, []float64{4, 10}, []float64{50, 100})
	got := merge(old, fresh)
	if len(got) != len(want) {
		t.Fatalf("got %v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("point %d: %v, want %v", i, got[i], want[i])
		}
	}
	if again := merge(got, fresh); len(again) != len(want) {
		t.Errorf("read twice: %v", again)
	}
}
