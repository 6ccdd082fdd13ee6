package diagnose

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"jwksbot/runbook"
)

// rotated is when a live key was first seen, if it came while the target was
// being looked at: the first check of all knows no earlier keys.
func (f *Facts) rotated(k runbook.Key) (first time.Time, known bool) {
	for _, s := range f.History {
		if s.Thumbprint == k.Thumbprint && s.Kid == k.Kid {
			first = s.FirstSeen
		}
	}
	for _, s := range f.History {
		known = known || s.FirstSeen.Before(first)
	}
	return first, known
}

// appeared says how long ago a live key was first seen.
func (f *Facts) appeared(k runbook.Key) string {
	first, known := f.rotated(k)
	if !known {
		return ""
	}
	return fmt.Sprintf("live key %s was first seen %s ago", runbook.Quote(k.Kid), runbook.Duration(f.At.Sub(first)))
}

// cachedAt says when an entry was written, held against the rotation that
// brought the key, as far as the format and the history tell.
func (f *Facts) cachedAt(e runbook.Entry, missing []runbook.Key) string {
	written := e.Reading.Written
	if written.IsZero() || f.At.IsZero() || written.After(f.At) {
		return ""
	}
	for _, k := range missing {
		first, known := f.rotated(k)
		switch {
		case !known:
		case written.Before(first):
			return "cached " + runbook.Duration(first.Sub(written)) + " before the rotation"
		default:
			return "cached " + runbook.Duration(written.Sub(first)) + " after the rotation"
		}
	}
	return "cached " + runbook.Duration(f.At.Sub(written)) + " ago"
}

// writtenAfter says that an entry was written when the key that it lacks was
// live already: whoever wrote it had read an old copy.
func (f *Facts) writtenAfter(e runbook.Entry, missing []runbook.Key) bool {
	if e.Reading.Written.After(f.At) {
		return false // a clock that is ahead proves nothing
	}
	for _, k := range missing {
		if first, known := f.rotated(k); known && e.Reading.Written.After(first) {
			return true
		}
	}
	return false
}

// longMaxAge is the longest lifetime, set by the provider, that is not worth a
// word: authorisers that obey it keep old keys for that long.
const longMaxAge = 24 * time.Hour

// maxAge says that the provider lets its clients keep a key set for very long.
func (f *Facts) maxAge() string {
	if f.Live == nil {
		return ""
	}
	for _, p := range f.Live.Probes {
		for _, part := range strings.Split(p.CacheControl, ",") {
			value, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(part)), "max-age=")
			seconds, err := strconv.ParseInt(value, 10, 32)
			if age := time.Duration(seconds) * time.Second; ok && err == nil && age > longMaxAge {
				return "the identity provider lets clients keep its key set for " + runbook.Duration(age) + " (Cache-Control max-age)"
			}
		}
	}
	return ""
}
