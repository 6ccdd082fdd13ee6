package diagnose

import (
	"fmt"
	"time"

	"jwksbot/runbook"
)

// seen finds the sighting of a kid, the latest if there are several.
func (f *Facts) seen(kid string) (runbook.Sighting, bool) {
	var found runbook.Sighting
	for _, s := range f.History {
		if s.Kid == kid && kid != "" && s.LastSeen.After(found.LastSeen) {
			found = s
		}
	}
	return found, !found.LastSeen.IsZero()
}

// removedTooEarly: a key that failing tokens name is neither live nor cached,
// and was live not long ago: nothing here can bring it back.
func (f *Facts) removedTooEarly() (runbook.Verdict, bool) {
	kid, count, ago, ok := f.departed(func(s runbook.Sighting) bool { return f.ago(s.LastSeen) <= f.longestLife() })
	if !ok {
		return runbook.Verdict{}, false
	}
	v := critical(RemovedTooEarly, "Key %s was taken out of the live set although tokens signed with it are still in use (%s). The identity provider has to publish it again; neither flush nor restart can bring it back.",
		runbook.Quote(kid), runbook.Plural(count, "failure", "failures"))
	v.Because = append([]string{fmt.Sprintf("%s was last seen live %s ago, and is in neither set now", runbook.Quote(kid), runbook.Duration(ago))}, f.failureLine()...)
	v.Against = []runbook.Advice{{Mitigation: runbook.FlushCache, Reason: "no key set holds that key any more"}}
	v.WouldChange = "the key published again, or the last token signed with it expired"
	if live := f.failsOnLive(); live > count {
		// Most of the window's failures are others. They may have ended with a
		// flush, or come from old keys in memory: a restart is not advised against.
		v.Because = append(v.Because, runbook.Plural(live, "failure names a live key", "failures name live keys")+": if those go on, the authoriser keeps old keys in memory, and a restart helps against them")
		return v, true
	}
	v.Against = append(v.Against, runbook.Advice{Mitigation: runbook.RestartAuthoriser, Reason: "no key set holds that key any more"})
	return v, true
}

// longExpired: failing tokens name a key that left the live set longer ago than
// any token lives. Its tokens have expired, whatever the authoriser calls it.
func (f *Facts) longExpired() (runbook.Verdict, bool) {
	kid, count, ago, ok := f.departed(f.allExpired)
	if !ok {
		return runbook.Verdict{}, false
	}
	v := warning(ClaimsOrClock, "Somebody still sends tokens that expired long ago: key %s left the live set %s ago (%s). Neither flush nor restart helps; look at that client.",
		runbook.Quote(kid), runbook.Duration(ago), runbook.Plural(count, "failure", "failures"))
	v.Because = append([]string{fmt.Sprintf("%s was last seen live %s ago; no token lives longer than %s", runbook.Quote(kid), runbook.Duration(ago), runbook.Duration(f.longestLife()))}, f.failureLine()...)
	v.Against = []runbook.Advice{{Mitigation: runbook.FlushCache, Reason: "no key set holds that key any more"}, {Mitigation: runbook.RestartAuthoriser, Reason: "no key set holds that key any more"}}
	v.WouldChange = "failures on a kid that is live"
	return v, true
}

// ago is how long before the end of the window something happened.
func (f *Facts) ago(at time.Time) time.Duration { return f.Logged.Until.Sub(at) }

// allExpired says that no token signed with a key can be valid any more: a
// check saw its successor longer ago than tokens live. Without one, nobody knows
// when the key left the live set.
func (f *Facts) allExpired(s runbook.Sighting) bool {
	left := f.signedUntil(runbook.Key{Kid: s.Kid, Thumbprint: s.Thumbprint})
	return f.ago(s.LastSeen) > f.longestLife() && f.ago(left) > f.longestLife()
}

// lastSeenText says what earlier checks know of a kid that is gone.
func (f *Facts) lastSeenText(kid string) string {
	s, known := f.seen(kid)
	if !known {
		return "no earlier check saw it live"
	}
	return "a check " + runbook.Duration(f.ago(s.LastSeen)) + " ago was the last to see it live: when it left is not known"
}

// departed finds the kid that fails most among those that are neither live nor
// cached and that earlier checks saw live in the way that is asked for.
func (f *Facts) departed(seen func(runbook.Sighting) bool) (kid string, count int, ago time.Duration, ok bool) {
	if _, goingOn := f.failing(); !goingOn || !f.liveOK {
		return "", 0, 0, false
	}
	for _, k := range f.Logged.Kids {
		s, known := f.seen(k.Kid)
		if known && !f.inLive(k.Kid) && !f.inCache(k.Kid) && k.Count > noise && seen(s) {
			return k.Kid, k.Count, f.ago(s.LastSeen), true
		}
	}
	return "", 0, 0, false
}
