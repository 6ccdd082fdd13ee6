package execute

import (
	"time"

	"jwksbot/runbook"
)

// A pool is one or more minutes that hold enough requests together to speak of
// a share.
type Pool struct {
	from     time.Time
	minutes  int
	failures float64
	requests float64
}

// Ratio is the share of failures, 1 at most: a denial may be logged twice.
func (p Pool) Ratio() float64 { return min(1, p.failures/p.requests) }

// outlook is what the minutes of a watch say together.
type outlook struct {
	pools []Pool
	// above are the minutes of the newest pools that are above the limit, one
	// pool after the other; calm counts the newest pools that are not.
	above, calm int
	breach      bool // above for longer than is allowed
	covered     int  // minutes that are in pools
	loose       Pool // minutes since the last pool, too few requests yet
}

// judge pools the points and counts. A minute that is missing neither resets
// nor counts: it may have been anything. Minutes that never hold enough requests
// are in no pool, and so are never called calm.
func judge(p runbook.WatchPolicy, points []runbook.RatioPoint) outlook {
	var o outlook
	for _, m := range points {
		if o.loose.minutes == 0 {
			o.loose.from = m.At
		}
		o.loose.minutes++
		o.loose.failures += m.Failures
		o.loose.requests += m.Requests
		if o.loose.requests <= 0 || o.loose.requests < p.MinRequests {
			continue
		}
		o.add(o.loose, p)
		o.loose = Pool{}
	}
	return o
}

func (o *outlook) add(q Pool, p runbook.WatchPolicy) {
	o.pools = append(o.pools, q)
	o.covered += q.minutes
	if q.Ratio() > p.Ratio {
		o.above, o.calm = o.above+q.minutes, 0
	} else {
		o.above, o.calm = 0, o.calm+1
	}
	o.breach = time.Duration(o.above)*time.Minute > p.Over
}

// last is the newest pool.
func (o outlook) last() (Pool, bool) {
	if len(o.pools) == 0 {
		return Pool{}, false
	}
	return o.pools[len(o.pools)-1], true
}

// calmAfter is how many pools in a row must be at or below the limit before a
// breach counts as over.
const calmAfter = 3

// settled says that the pools cover enough of the minutes to speak for all.
func (o outlook) settled(minutes int) bool { return o.covered > 0 && 2*o.covered >= minutes }

// Share is the failures of all points against their requests.
func Share(points []runbook.RatioPoint) (p Pool, ok bool) {
	for _, m := range points {
		p.minutes++
		p.failures += m.Failures
		p.requests += m.Requests
	}
	return p, p.requests > 0
}

// count writes a number of requests or failures.
func count(n float64) string { return runbook.Thousands(int64(n + 0.5)) }

// merge puts fresh points over old ones, by minute: reading a minute twice
// leaves one point, and a minute that could not be read now keeps what was read
// before.
func merge(old, fresh []runbook.RatioPoint) []runbook.RatioPoint {
	out := make([]runbook.RatioPoint, 0, len(old)+len(fresh))
	i := 0
	for _, p := range fresh {
		for ; i < len(old) && old[i].At.Before(p.At); i++ {
			out = append(out, old[i])
		}
		if i < len(old) && old[i].At.Equal(p.At) {
			i++
		}
		out = append(out, p)
	}
	return append(out, old[i:]...)
}
