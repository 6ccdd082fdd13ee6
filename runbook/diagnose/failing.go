package diagnose

import (
	"fmt"
	"time"

	"jwksbot/runbook"
)

// noise is how many failures in the newest minutes are taken for stray clients.
const noise = 2

// Tokens expire, and strangers send tokens of other issuers: a trickle of such
// failures is ordinary wherever there are users.
const (
	claimsNoise    = 10   // in the newest minutes, if nothing else is known
	claimsFlood    = 50   // in the newest minutes: never ordinary
	claimsShare    = 0.05 // of the gateway's requests, where they are known
	claimsRise     = 3    // times the rate in the first quarter of the window
	minutesOfDelay = 2    // a failure may take so long to be seen
)

// recent are the failures of the newest minutes. Minutes that began before the
// last flush do not count: what failed then was judged then.
type recent struct {
	all  int
	keys int // about keys and signatures; the others are about what tokens say
}

func (f *Facts) recent() recent {
	from := f.recentFrom()
	r := recent{all: countFrom(f.Logged.PerMinute, from)}
	if f.Logged.KeyMinutes != nil {
		r.keys = countFrom(f.Logged.KeyMinutes, from)
		return r
	}
	// Not told apart by minute: as over the whole window.
	total := 0
	for _, n := range f.Logged.Classes {
		total += n
	}
	r.keys = r.all
	if total > 0 {
		r.keys = (r.all*keyFailures(*f.Logged) + total - 1) / total
	}
	return r
}

// recentFrom is the beginning of what counts as now.
func (f *Facts) recentFrom() time.Time {
	from := f.Logged.Until.Add(-RecentMinutes * time.Minute).Truncate(time.Minute)
	if f.Flushed.After(from) {
		return f.Flushed
	}
	return from
}

// recentText names that time in a sentence.
func (f *Facts) recentText() string {
	if f.Flushed.Equal(f.recentFrom()) {
		return "since the flush"
	}
	return fmt.Sprintf("in the last %d min", RecentMinutes)
}

func countFrom(minutes []runbook.MinuteCount, from time.Time) (n int) {
	for _, m := range minutes {
		if !m.At.Before(from) {
			n += m.Count
		}
	}
	return n
}

// failing counts the failures of the newest minutes, and says whether they are
// more than noise and still going on.
func (f *Facts) failing() (count int, goingOn bool) {
	if f.Logged == nil {
		return 0, false
	}
	last, ok := f.Logged.LastFailure()
	if !ok || f.Logged.Until.Sub(last) > minutesOfDelay*time.Minute {
		return 0, false
	}
	r := f.recent()
	return r.all, (r.keys > noise && !f.onlyStrays() || f.unusual(r.all-r.keys)) && !silentFor(*f.Logged, r.all)
}

// onlyStrays says that all failures about keys, in the whole window, are a few
// kids that are neither live nor cached, once or twice each: whoever can be
// reached gets such tokens.
func (f *Facts) onlyStrays() bool {
	if !f.liveOK || f.Cached == nil || f.Logged.AtLeast {
		return false
	}
	left := keyFailures(*f.Logged)
	kids := 0
	for _, k := range f.Logged.Kids {
		if k.Count <= noise && !f.inLive(k.Kid) && !f.inCache(k.Kid) {
			kids++
			left -= k.Count
		}
	}
	return kids < junkKids && left <= noise
}

// keyFailures counts the failures of the window that are about keys and
// signatures.
func keyFailures(ev runbook.LogEvidence) (n int) {
	for class, count := range ev.Classes {
		if !runbook.AboutTokens(class) {
			n += count
		}
	}
	return n
}

// unusual says that so many failures about what tokens say are more than the
// ordinary trickle.
func (f *Facts) unusual(claims int) bool {
	if claims <= noise {
		return false
	}
	if f.Gateway != nil {
		if n := requests(Newest(f.Gateway.Points)); n >= turnRequests {
			return float64(claims) > claimsShare*n
		}
	}
	return claims > claimsFlood || claims > claimsNoise && f.risen(claims)
}

// risen compares the newest minutes with the first quarter of the window, which
// is before most incidents that somebody looks into.
func (f *Facts) risen(claims int) bool {
	quarter := f.Logged.Until.Sub(f.Logged.Since) / 4
	first := f.Logged.Since.Add(quarter)
	before := 0
	for _, m := range f.Logged.PerMinute {
		if m.At.Before(first) {
			before += m.Count
		}
	}
	for _, m := range f.Logged.KeyMinutes {
		if m.At.Before(first) {
			before -= m.Count
		}
	}
	return float64(claims)/RecentMinutes >= claimsRise*float64(before)/quarter.Minutes()
}

// since is how long key failures have been going on, with no gap that random
// arrivals would not leave; 0 when nothing fails.
func (f *Facts) since() time.Duration {
	minutes := f.Logged.PerMinute
	if f.Logged.KeyMinutes != nil {
		minutes = f.Logged.KeyMinutes
	}
	var first time.Time
	for i := len(minutes) - 1; i >= 0; i-- {
		m := minutes[i]
		if m.Count == 0 {
			continue
		}
		if !first.IsZero() && first.Sub(m.At) > RecentMinutes*time.Minute {
			break
		}
		first = m.At
	}
	if first.IsZero() {
		return 0
	}
	return f.Logged.Until.Sub(first)
}

// silentFor says that failures which came at this rate have stopped: at random
// arrivals a gap of six times the mean has a chance of 1 in 400. The quarter of
// a minute is the delay with which log lines arrive.
func silentFor(ev runbook.LogEvidence, recent int) bool {
	if ev.Newest.IsZero() || recent == 0 {
		return false
	}
	mean := RecentMinutes * time.Minute / time.Duration(recent)
	return ev.Until.Sub(ev.Newest) > 15*time.Second+6*mean
}
