package diagnose

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"jwksbot/runbook"
)

// assumed is how long a token may still be valid after it was signed, where the
// target does not say.
var assumed = runbook.Cognito

// usualLife is when most tokens of a key that signs no more have expired.
func (f *Facts) usualLife() time.Duration { return cmp.Or(f.TokenLife, assumed.TokenLife) }

// longestLife is when the last of them has.
func (f *Facts) longestLife() time.Duration { return cmp.Or(f.TokenLife, assumed.LongestToken) }

// strandedKey is a key of which a flush removes the last copy although tokens
// signed with it may still be valid.
type strandedKey struct {
	key     runbook.Key
	rekeyed bool      // its kid stands for another key now
	until   time.Time // when the last token signed with it expires at the usual lifetime
}

// stranded lists what a recommended flush strands.
func (f *Facts) stranded(v runbook.Verdict) []strandedKey {
	if !v.Advises(runbook.FlushCache) {
		return nil
	}
	var out []strandedKey
	seen := map[string]bool{}
	for _, c := range f.All() {
		for _, k := range c.set.Keys {
			_, as := find(f.LiveSet, k)
			if id := k.Kid + "\x00" + k.Identity(); k.Use != "enc" && (as == foundNothing || as == foundKid) && !seen[id] {
				seen[id] = true
				if end := f.signedUntil(k); f.At.IsZero() || end.Add(f.longestLife()).After(f.At) {
					out = append(out, strandedKey{k, as == foundKid, end.Add(f.usualLife())})
				}
			}
		}
	}
	return out
}

// signedUntil is the latest moment at which a key that is not live any more can
// have signed a token: the first check that saw a newer key ends its time. What
// was never seen live may have signed until now.
func (f *Facts) signedUntil(k runbook.Key) time.Time {
	var last time.Time
	for _, s := range f.History {
		if s.Thumbprint == k.Thumbprint && s.Thumbprint != "" && s.LastSeen.After(last) {
			last = s.LastSeen
		}
	}
	end := f.At
	for _, s := range f.History {
		if !last.IsZero() && s.FirstSeen.After(last) && s.FirstSeen.Before(end) {
			end = s.FirstSeen
		}
	}
	return end
}

// hardCut puts the stranded kids and the sentence about them into the verdict.
func (f *Facts) hardCut(v *runbook.Verdict) {
	stranded := f.stranded(*v)
	if len(stranded) == 0 {
		return
	}
	var keys []runbook.Key
	var names []string
	until := time.Time{}
	for _, s := range stranded {
		keys = append(keys, s.key)
		if s.until.After(until) {
			until = s.until
		}
	}
	v.Stranded = KidsOf(keys)
	for i, kid := range v.Stranded {
		if i == shownStranded {
			names = append(names, runbook.Plural(len(v.Stranded)-shownStranded, "more", "more"))
			break
		}
		name := runbook.Quote(kid)
		for _, s := range stranded {
			if s.rekeyed && s.key.Kid == kid {
				name = "the old key of " + runbook.Quote(kid)
			}
		}
		names = append(names, name)
	}
	v.HardCut = fmt.Sprintf("a flush removes the last copy of %s: tokens signed with it that are still valid are refused from then on", strings.Join(names, ", "))
	if left := f.leftUntil(until); left != "" {
		v.HardCut += "; " + left
	}
}

// leftUntil says until when tokens of a key are in use, given when the last of
// them expires at the usual lifetime.
func (f *Facts) leftUntil(until time.Time) string {
	switch {
	case f.At.IsZero():
		return ""
	case until.After(f.At):
		life := fmt.Sprintf("%g h by %s's default, %g h at most", assumed.TokenLife.Hours(), assumed.Name, assumed.LongestToken.Hours())
		if f.TokenLife > 0 {
			life = runbook.Duration(f.TokenLife)
		}
		return fmt.Sprintf("the last of them expires by %s (tokens live %s)", f.clockTime(until), life)
	case until.Add(f.longestLife() - f.usualLife()).After(f.At):
		return fmt.Sprintf("at %s's default of %g h they have all expired, at its maximum of %g h not yet", assumed.Name, assumed.TokenLife.Hours(), assumed.LongestToken.Hours())
	}
	return "they have all expired"
}

// clockTime is a moment to come, with its day where the hour alone could be
// taken for an earlier one.
func (f *Facts) clockTime(at time.Time) string {
	layout := "15:04 UTC"
	if at.Sub(f.At) >= 24*time.Hour {
		layout = "2 January, 15:04 UTC"
	}
	return at.UTC().Format(layout)
}

// stillPass says until when tokens of retired keys that are still cached pass.
func (f *Facts) stillPass(retired []runbook.Key) []string {
	var until time.Time
	for _, k := range retired {
		if end := f.signedUntil(k).Add(f.usualLife()); end.After(until) {
			until = end
		}
	}
	left := f.leftUntil(until)
	if left == "" {
		return nil
	}
	return []string{"tokens signed with " + runbook.QuoteAll(KidsOf(retired)) + ": " + left}
}

const shownStranded = 4
