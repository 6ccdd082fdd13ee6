package telemetry

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/redact"
)

const (
	maxSamples    = 3
	maxSampleText = 300   // runes of a sample line
	maxKids       = 10000 // different kids that are counted; a storm of junk has more
	reportedKids  = 1000  // of them, the most frequent
	maxIssuers    = 10
	maxMinutes    = 7 * 24 * 60 // points of a series; longer windows begin later
)

// A tally counts failures in constant memory.
type tally struct {
	since, until time.Time
	cut          bool
	pages, count int
	oldest       time.Time // of all events that counted
	newest       time.Time
	classes      map[string]int
	kids         map[string]int
	minutes      map[int64]int
	keyMinutes   map[int64]int                  // of them those that are about keys and signatures
	samples      map[string][]runbook.LogSample // by class, newest first
	issuers      []string
}

func newTally(since, until time.Time) *tally {
	return &tally{
		since: since, until: until,
		classes: map[string]int{}, kids: map[string]int{}, minutes: map[int64]int{}, keyMinutes: map[int64]int{},
		samples: map[string][]runbook.LogSample{},
	}
}

func (t *tally) page() { t.pages++ }

// add counts one failure. Events outside the window are left out: endpoints
// that round the window exist.
func (t *tally) add(at time.Time, class, kid, text string) {
	if at.Before(t.since) || !at.Before(t.until) {
		return
	}
	t.count++
	t.classes[class]++
	t.addKid(kid)
	t.minutes[at.Truncate(time.Minute).Unix()]++
	if !runbook.AboutTokens(class) {
		t.keyMinutes[at.Truncate(time.Minute).Unix()]++
	}
	if t.oldest.IsZero() || at.Before(t.oldest) {
		t.oldest = at
	}
	if at.After(t.newest) {
		t.newest = at
	}
	if len(t.issuers) < maxIssuers {
		if iss := findIssuer(text); iss != "" && !slices.Contains(t.issuers, iss) {
			t.issuers = append(t.issuers, iss)
		}
	}
	t.sample(runbook.LogSample{At: at, Class: class, Kid: kid, Text: text})
}

func (t *tally) addKid(kid string) {
	if _, known := t.kids[kid]; kid != "" && (known || len(t.kids) < maxKids) {
		t.kids[kid]++
	}
}

// sample keeps the newest lines of a class.
func (t *tally) sample(s runbook.LogSample) {
	kept := t.samples[s.Class]
	at, _ := slices.BinarySearchFunc(kept, s, func(a, b runbook.LogSample) int { return b.At.Compare(a.At) })
	if at < maxSamples {
		s.Text = strings.Clone(s.Text) // or the whole page would stay in memory
		kept = slices.Insert(kept, at, s)
		t.samples[s.Class] = kept[:min(len(kept), maxSamples)]
	}
}

// evidence is what was counted, redacted.
func (t *tally) evidence() runbook.LogEvidence {
	return runbook.LogEvidence{
		Since: t.since, Until: t.until, Pages: t.pages, Count: t.count, AtLeast: t.cut,
		Classes: t.classes, Kids: t.topKids(), PerMinute: t.perMinute(t.minutes), KeyMinutes: t.perMinute(t.keyMinutes),
		Samples: t.pick(), Issuers: t.issuers, Newest: t.newest,
	}
}

// topKids are the kids, most frequent first.
func (t *tally) topKids() []runbook.KidCount {
	kids := make([]runbook.KidCount, 0, len(t.kids))
	for k, n := range t.kids {
		kids = append(kids, runbook.KidCount{Kid: k, Count: n})
	}
	slices.SortFunc(kids, func(a, b runbook.KidCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Kid, b.Kid))
	})
	return kids[:min(len(kids), reportedKids)]
}

// perMinute is the series over the window, gaps zero. After a reading that was
// cut short it begins at the oldest failure that was read: what was before is
// not known, which is not zero.
func (t *tally) perMinute(counts map[int64]int) []runbook.MinuteCount {
	from, last := t.since.Truncate(time.Minute), t.until.Add(-1).Truncate(time.Minute)
	if t.cut {
		if t.count == 0 {
			return nil
		}
		from = t.oldest.Truncate(time.Minute)
	}
	if first := last.Add(-(maxMinutes - 1) * time.Minute); from.Before(first) {
		from = first
	}
	var series []runbook.MinuteCount
	for m := from; !m.After(last); m = m.Add(time.Minute) {
		series = append(series, runbook.MinuteCount{At: m.UTC(), Count: counts[m.Unix()]})
	}
	return series
}

// pick takes up to three samples, newest first, of different classes where
// there are any, and makes them fit to be posted.
func (t *tally) pick() []runbook.LogSample {
	newestFirst := func(a, b runbook.LogSample) int {
		return cmp.Or(b.At.Compare(a.At), strings.Compare(a.Class, b.Class))
	}
	var first, more []runbook.LogSample
	for _, kept := range t.samples {
		first = append(first, kept[0])
		more = append(more, kept[1:]...)
	}
	slices.SortFunc(first, newestFirst)
	slices.SortFunc(more, newestFirst)
	picked := append(first, more...)
	picked = picked[:min(len(picked), maxSamples)]
	slices.SortFunc(picked, newestFirst)
	for i := range picked {
		picked[i].Text = sampleText(picked[i].Text)
	}
	return picked
}

// sampleText makes a line fit to be posted: without secrets, without the HTML
// that some libraries put into their message, on one line, of bounded length.
// The order matters: a secret that was cut in two is not recognised any more.
func sampleText(text string) string {
	text = redact.Text(strings.ToValidUTF8(text, "\uFFFD"))
	text = withoutHTML(text)
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	return runbook.Clip(text, maxSampleText)
}

// withoutHTML cuts a page off where it begins.
func withoutHTML(text string) string {
	lower := strings.ToLower(text)
	if len(lower) != len(text) {
		return text
	}
	for _, tag := range []string{"<!doctype", "<html", "<head", "<body"} {
		if i := strings.Index(lower, tag); i >= 0 {
			text, lower = text[:i]+"[HTML page]", lower[:i]
		}
	}
	return text
}
