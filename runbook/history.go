package runbook

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Sighting is when a key was seen in a target's live set.
type Sighting struct {
	Kid        string
	Thumbprint string
	FirstSeen  time.Time
	LastSeen   time.Time
}

// history remembers the live keys of every check. Seen is called with the live
// set whenever the probes agree on one.
type history interface {
	Seen(ctx context.Context, target string, keys []Key, at time.Time) error
	Sightings(ctx context.Context, target string) ([]Sighting, error)
	// LastFlush is when a run last flushed the resource; zero if none did.
	LastFlush(ctx context.Context, resource string) (time.Time, error)
}

// stepHistory is the name under which an unreadable history is told.
const stepHistory = "history"

// recall reads what is remembered of a target before this check adds to it.
func (r *Runner) recall(ctx context.Context, t *Target, e *Evidence) {
	if r.history == nil {
		return
	}
	var errSeen, errFlushed error
	e.History, errSeen = r.history.Sightings(ctx, t.Name)
	e.Flushed, errFlushed = r.history.LastFlush(ctx, t.Resource)
	if err := errors.Join(errSeen, errFlushed); err != nil {
		e.Unread[stepHistory] = err.Error()
	}
}

// remember adds the live set of this check.
func (r *Runner) remember(ctx context.Context, target string, e *Evidence, at time.Time) {
	set, ok := e.Live.Set()
	if r.history == nil || !ok {
		return
	}
	if err := r.history.Seen(ctx, target, set.Keys, at); err != nil {
		e.Unread[stepHistory] = err.Error()
	}
}

// tokenLife is how long a token may still be valid after it was signed: 24
// hours is the most that Cognito allows for access and ID tokens.
const tokenLife = 24 * time.Hour

// seen finds the sighting of a kid, the latest if there are several.
func (f *facts) seen(kid string) (Sighting, bool) {
	var found Sighting
	for _, s := range f.History {
		if s.Kid == kid && kid != "" && s.LastSeen.After(found.LastSeen) {
			found = s
		}
	}
	return found, !found.LastSeen.IsZero()
}

// removedTooEarly: a key that failing tokens name is neither live nor cached,
// and was live not long ago: nothing here can bring it back.
func (f *facts) removedTooEarly() (Verdict, bool) {
	if _, goingOn := f.failing(); !goingOn {
		return Verdict{}, false
	}
	for _, k := range f.Logged.Kids {
		s, known := f.seen(k.Kid)
		ago := f.Logged.Until.Sub(s.LastSeen)
		if !known || f.inLive(k.Kid) || f.inCache(k.Kid) || ago > tokenLife || k.Count <= noise {
			continue
		}
		v := critical(RemovedTooEarly, "Key %s was taken out of the live set although tokens signed with it are still in use (%s). The identity provider has to publish it again; neither flush nor restart can bring it back.",
			quote(k.Kid), plural(k.Count, "failure", "failures"))
		v.Because = append([]string{fmt.Sprintf("%s was last seen live %s ago, and is in neither set now", quote(k.Kid), Duration(ago))}, f.failureLine()...)
		v.Against = []Advice{{FlushCache, "no key set holds that key any more"}, {RestartAuthoriser, "no key set holds that key any more"}}
		v.WouldChange = "the key published again, or the last token signed with it expired"
		return v, true
	}
	return Verdict{}, false
}

// appeared says how long ago a live key was first seen, if it came while the
// target was being looked at: the first check of all knows no earlier keys.
func (f *facts) appeared(k Key) string {
	var first time.Time
	earlier := false
	for _, s := range f.History {
		if s.Thumbprint == k.Thumbprint && s.Kid == k.Kid {
			first = s.FirstSeen
		}
	}
	for _, s := range f.History {
		earlier = earlier || s.FirstSeen.Before(first)
	}
	if !earlier {
		return ""
	}
	return fmt.Sprintf("live key %s was first seen %s ago", quote(k.Kid), Duration(f.At.Sub(first)))
}
