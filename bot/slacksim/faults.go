package slacksim

import (
	"math"
	"slices"
	"time"
)

// faultState holds what tests asked to go wrong.
type faultState struct {
	outage  bool
	fails   []fault
	limited []fault
}

type fault struct {
	method string // "*" for every method
	n      int
	code   string
	after  time.Duration
}

// take uses up one asked failure of a method.
func (f *faultState) take(method string) (code string, ok bool) {
	hit, ok := use(&f.fails, method)
	return hit.code, ok
}

func use(list *[]fault, method string) (fault, bool) {
	for i := range *list {
		f := &(*list)[i]
		if f.method != method && f.method != "*" {
			continue
		}
		f.n--
		hit := *f
		if f.n <= 0 {
			*list = slices.Delete(*list, i, i+1)
		}
		return hit, true
	}
	return fault{}, false
}

// Fail makes the next n calls of a method ("*": of any) answer ok false with
// errorCode.
func (s *Sim) Fail(method string, n int, errorCode string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.fails = append(s.faults.fails, fault{method: method, n: n, code: errorCode})
}

// RateLimit makes the next n calls of a method ("*": of any) answer 429 with
// retryAfter, rounded up to whole seconds.
func (s *Sim) RateLimit(method string, n int, retryAfter time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.limited = append(s.faults.limited, fault{method: method, n: n, after: retryAfter})
}

// Outage makes every call of the Web API and every response URL answer 500
// until it is switched off.
func (s *Sim) Outage(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.outage = on
}

// SetLimits changes how strictly rate limits are applied from here on.
func (s *Sim) SetLimits(m LimitMode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opt.Limits = m
	s.buckets = map[string]*bucket{}
}

// tierPerMinute are Slack's tiers (docs.slack.dev/apis/web-api/rate-limits); 0
// for a method that has no tier.
func tierPerMinute(tier int) float64 {
	return [...]float64{0, 1, 20, 50, 100}[tier]
}

// postBurst is how many posts a channel takes at once before one a second
// applies; Slack says only that short bursts are tolerated.
const postBurst = 10

// bucket is a token bucket in real time.
type bucket struct {
	level, capacity, perSecond float64
	at                         time.Time
}

// wait takes one token, or returns the whole seconds until there is one.
func (b *bucket) wait(now time.Time) int {
	b.level = min(b.capacity, b.level+now.Sub(b.at).Seconds()*b.perSecond)
	b.at = now
	if b.level < 1 {
		return max(1, int(math.Ceil((1-b.level)/b.perSecond)))
	}
	b.level--
	return 0
}

// limited returns the seconds to wait before the call may be made, 0 when it
// may be made now. s.mu is held.
func (s *Sim) limited(c *call, m method) int {
	if f, ok := use(&s.faults.limited, c.method); ok {
		return max(1, int(math.Ceil(f.after.Seconds())))
	}
	if s.opt.Limits == LimitsOff {
		return 0
	}
	key, capacity, rate := c.method, tierPerMinute(m.tier), tierPerMinute(m.tier)/60
	if c.method == "chat.postMessage" {
		key, capacity, rate = key+" "+c.str("channel"), postBurst, 1
		if s.opt.Limits == LimitsStrict {
			capacity = 1
		}
	}
	if capacity == 0 {
		return 0
	}
	now := time.Now()
	b := s.buckets[key]
	if b == nil {
		b = &bucket{level: capacity, capacity: capacity, perSecond: rate, at: now}
		s.buckets[key] = b
	}
	return b.wait(now)
}
