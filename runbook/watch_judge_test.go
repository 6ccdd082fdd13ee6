package runbook

import (
	"testing"
	"time"
)

// pointsOf makes a point for every minute; a nil minute is missing.
func pointsOf(minutes ...[]float64) []RatioPoint {
	var out []RatioPoint
	for i, m := range minutes {
		if m != nil {
			out = append(out, RatioPoint{At: t0.Add(time.Duration(i) * time.Minute), Failures: m[0], Requests: m[1]})
		}
	}
	return out
}

// times repeats a minute.
func times(n int, m ...float64) [][]float64 {
	out := make([][]float64, n)
	for i := range out {
		out[i] = m
	}
	return out
}

// join puts minutes after one another.
func join(lists ...[][]float64) [][]float64 {
	var out [][]float64
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

var gap = [][]float64{nil}

// The rule of the runbook: above 10 % for more than 10 minutes.
func TestBreachIsTheEleventhMinuteAbove(t *testing.T) {
	policy := WatchPolicy{Ratio: 0.10, Over: 10 * time.Minute, MinRequests: 20}
	above, limit, calm := []float64{101, 1000}, []float64{100, 1000}, []float64{0, 1000}
	for name, c := range map[string]struct {
		minutes [][]float64
		breach  bool
		above   int
	}{
		"ten minutes":                        {times(10, above...), false, 10},
		"eleven minutes":                     {times(11, above...), true, 11},
		"10.0 % for an hour":                 {times(60, limit...), false, 0},
		"everything fails for ten minutes":   {times(10, 1000, 1000), false, 10},
		"a calm minute resets":               {join(times(10, above...), times(1, calm...), times(10, above...)), false, 10},
		"a minute at the limit resets":       {join(times(10, above...), times(1, limit...), times(10, above...)), false, 10},
		"a gap does not count":               {join(times(10, above...), gap), false, 10},
		"nor does a long one":                {join(times(10, above...), gap, gap, gap, gap, gap), false, 10},
		"a gap does not reset":               {join(times(5, above...), gap, gap, times(6, above...)), true, 11},
		"gaps everywhere":                    {join(times(4, above...), gap, times(4, above...), gap, times(2, above...), gap), false, 10},
		"pools count their minutes":          {times(12, 1, 5), true, 12}, // four minutes hold 20 requests
		"an open pool does not count yet":    {times(11, 1, 5), false, 8},
		"a pool is judged as a whole":        {join(times(3, 0, 5), times(1, 2, 5), times(8, 1, 5)), false, 8},
		"too little traffic is in no pool":   {times(15, 1, 1), false, 0},
		"quiet minutes say nothing":          {times(30, 0, 0), false, 0},
		"just enough traffic is its minutes": {times(20, 1, 1), true, 20},
	} {
		o := policy.judge(pointsOf(c.minutes...))
		if o.breach != c.breach || o.above != c.above {
			t.Errorf("%s: breach %t after %d minutes above, want %t after %d", name, o.breach, o.above, c.breach, c.above)
		}
	}
}

func TestPooling(t *testing.T) {
	policy := WatchPolicy{Ratio: 0.10, Over: 10 * time.Minute, MinRequests: 20}
	o := policy.judge(pointsOf(join(times(3, 1, 8), gap, times(1, 0, 30), times(2, 0, 5))...))
	if len(o.pools) != 2 || o.pools[0].minutes != 3 || o.pools[0].requests != 24 || o.pools[1].minutes != 1 || o.loose.minutes != 2 || o.covered != 4 {
		t.Errorf("%+v", o)
	}
	if o.above != 0 || o.calm != 1 {
		t.Errorf("above %d, calm %d", o.above, o.calm)
	}
	if none := policy.judge(pointsOf(times(15, 1, 1)...)); none.settled(15) || none.covered != 0 {
		t.Errorf("15 requests in 15 minutes: %+v", none)
	}
	if few := policy.judge(pointsOf(join(times(5, 0, 100), times(10, 0, 1))...)); few.settled(15) {
		t.Errorf("a third of the minutes speaks for all: %+v", few)
	}
	if most := policy.judge(pointsOf(join(times(8, 0, 100), times(7, 0, 1))...)); !most.settled(15) {
		t.Errorf("%+v", most)
	}
}

func TestMergeLeavesOnePointAMinute(t *testing.T) {
	old := pointsOf([]float64{1, 10}, []float64{2, 10}, nil, []float64{4, 10})
	fresh := pointsOf(nil, []float64{20, 100}, []float64{30, 100}, nil, []float64{50, 100})
	want := pointsOf([]float64{1, 10}, []float64{20, 100}, []float64{30, 100}, []float64{4, 10}, []float64{50, 100})
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

func TestSharesAreNotRoundedToTheLimit(t *testing.T) {
	for r, want := range map[float64]string{0: "0 %", 0.1: "10 %", 0.101: "10.1 %", 0.004: "0.4 %", 0.34: "34 %", 1: "100 %", 0.07: "7 %"} {
		if got := exact(r); got != want {
			t.Errorf("%v: %q, want %q", r, got, want)
		}
	}
}
