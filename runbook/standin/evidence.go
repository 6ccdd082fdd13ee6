package standin

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"jwksbot/runbook"
)

// Entry is one cache entry, decoded as the tests write values.
func Entry(name, value string) runbook.Entry {
	raw := runbook.RawEntry{Name: name, Shard: "s1", Type: "string", TTL: 43 * time.Minute, Value: []byte(value), Bytes: len(value)}
	return runbook.Entry{Name: name, Shard: "s1", Type: raw.Type, TTL: raw.TTL, Bytes: raw.Bytes, Reading: Decode(raw, nil), Digest: raw.Digest()}
}

// CachedEvidence is a cache that holds the entries.
func CachedEvidence(entries ...runbook.Entry) *runbook.CacheEvidence {
	return &runbook.CacheEvidence{Shards: []runbook.Shard{{Name: "s1"}}, Entries: entries}
}

// LiveEvidence is what the probes answered.
func LiveEvidence(probes ...runbook.Probe) *runbook.LiveEvidence {
	return &runbook.LiveEvidence{URL: "https://idp.example/jwks.json", Probes: probes}
}

// Agreed is three probes that bring the same keys.
func Agreed(words ...string) *runbook.LiveEvidence {
	return LiveEvidence(Good(words...), Good(words...), Good(words...))
}

// LoggedEvidence is an hour of log, with "class:n" and "kid=n" words, that goes on
// until the newest minute.
func LoggedEvidence(words ...string) *runbook.LogEvidence {
	ev := &runbook.LogEvidence{Since: T0.Add(-time.Hour), Until: T0, Pages: 1, Classes: map[string]int{}}
	for _, w := range words {
		if kid, n, ok := strings.Cut(w, "="); ok {
			ev.Kids = append(ev.Kids, runbook.KidCount{Kid: kid, Count: atoi(n)})
			continue
		}
		class, n, _ := strings.Cut(w, ":")
		ev.Classes[class] = atoi(n)
		ev.Count += atoi(n)
	}
	ev.PerMinute = []runbook.MinuteCount{{At: T0.Add(-2 * time.Minute), Count: ev.Count / 2}, {At: T0.Add(-time.Minute), Count: ev.Count - ev.Count/2}}
	return ev
}

func atoi(s string) (n int) {
	fmt.Sscan(s, &n)
	return n
}

// Ended is the same log, whose last failure is some time ago.
func Ended(ago time.Duration, words ...string) *runbook.LogEvidence {
	ev := LoggedEvidence(words...)
	ev.PerMinute = []runbook.MinuteCount{{At: T0.Add(-ago - time.Minute), Count: ev.Count}, {At: T0.Add(-time.Minute)}}
	return ev
}

// With changes the first key of a set.
func With(s runbook.KeySet, change func(*runbook.Key)) runbook.KeySet {
	s.Keys = slices.Clone(s.Keys)
	change(&s.Keys[0])
	s.Usable = 0
	for _, k := range s.Keys {
		if k.Usable {
			s.Usable++
		}
	}
	return s
}

// Foreign is an entry of another issuer.
func Foreign(name, value string) runbook.Entry {
	e := Entry(name, value)
	e.Foreign = "https://other.example"
	return e
}

// Series is an hour of log up to t0 of which each minute has so many failures
// about tokens and about keys, from the given runs of minutes.
func Series(class string, runs ...int) *runbook.LogEvidence {
	ev := &runbook.LogEvidence{Since: T0.Add(-time.Hour), Until: T0, Pages: 1, Classes: map[string]int{}}
	minutes := 0
	for i := 0; i < len(runs); i += 2 {
		minutes += runs[i]
	}
	at := T0.Add(-time.Duration(minutes) * time.Minute)
	for i := 0; i+1 < len(runs); i += 2 {
		for range runs[i] {
			ev.PerMinute = append(ev.PerMinute, runbook.MinuteCount{At: at, Count: runs[i+1]})
			n := 0
			if !runbook.AboutTokens(class) {
				n = runs[i+1]
			}
			ev.KeyMinutes = append(ev.KeyMinutes, runbook.MinuteCount{At: at, Count: n})
			ev.Count += runs[i+1]
			at = at.Add(time.Minute)
		}
	}
	ev.Classes[class] = ev.Count
	return ev
}

// KeySet is a sound set of the kids.
func KeySet(kids ...string) runbook.KeySet {
	s := runbook.KeySet{Shape: runbook.ShapeSet, Usable: len(kids)}
	for _, kid := range kids {
		s.Keys = append(s.Keys, runbook.Key{Kid: kid, Thumbprint: "print of " + kid, Kty: "RSA", Alg: "RS256", Use: "sig", Usable: true})
	}
	return s
}

// FailuresOn are failures that name one kid.
func FailuresOn(at time.Time, kid string, n int) *runbook.LogEvidence {
	return &runbook.LogEvidence{Since: at.Add(-time.Hour), Until: at, Pages: 1, Count: n, Classes: map[string]int{runbook.ClassUnknownKid: n},
		Kids: []runbook.KidCount{{Kid: kid, Count: n}}, PerMinute: []runbook.MinuteCount{{At: at.Add(-time.Minute), Count: n}}}
}

// NamesOf are the entries of a plan.
func NamesOf(p runbook.Plan) string {
	var out []string
	for _, e := range p.Entries {
		out = append(out, string(e.Name))
	}
	return strings.Join(out, " ")
}
