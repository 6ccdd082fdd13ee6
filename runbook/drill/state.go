package drill

import (
	"context"
	"errors"
	"time"

	"jwksbot/runbook"
)

// seriesLength is what the fine series of [State] covers.
const seriesLength = 3 * time.Minute

// rateWindow is what the current success rate is taken over.
const rateWindow = 20 * time.Second

// State is the world as a panel shows it. Times are the world's clock.
type State struct {
	Scenario          string    `json:"scenario"`
	Summary           string    `json:"summary"`
	Now               time.Time `json:"now"`
	RequestsPerMinute int       `json:"requests_per_minute"`
	// SuccessRate is the share of good requests in the last 20 seconds, from 0
	// to 1; null without requests.
	SuccessRate *float64 `json:"success_rate"`
	BucketSecs  int      `json:"bucket_seconds"` // width of a point of Series
	Series      []Point  `json:"series"`         // the last 3 minutes, oldest first, the unfinished bucket last
	Minutes     []Point  `json:"minutes"`        // the last hour by minute, oldest first, the unfinished minute last

	IDP        string     `json:"idp"` // one of the IDP constants
	LiveKids   []string   `json:"live_kids"`
	SigningKid string     `json:"signing_kid"`
	RotatedAt  time.Time  `json:"rotated_at,omitzero"`
	CacheKey   string     `json:"cache_key"`
	CachedKids []string   `json:"cached_kids"`
	CachedTTL  int        `json:"cached_ttl_seconds"` // -1: never expires, 0: no entry
	CacheNote  string     `json:"cache_note"`         // why there are no cached kids, else ""
	Invoked    string     `json:"invoked"`            // the version of the function that requests meet
	Remembered int        `json:"remembered_denials"` // tokens that the gateway refuses without asking
	Incidents  []Incident `json:"incidents"`          // at the paging service
	Notices    int        `json:"notices"`            // announcements on the on-call topic

	LastError   string    `json:"last_error"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
	LastGoodAt  time.Time `json:"last_success_at,omitzero"`
}

// Point counts the requests of one stretch of time.
type Point struct {
	At     time.Time `json:"at"`
	OK     int       `json:"ok"`
	Failed int       `json:"failed"`
}

// State reads the world. It asks Redis for the cached set, outside the
// authoriser's statistics.
func (w *World) State() State {
	now := w.clock.Now().UTC()
	idp := w.idp.state()
	s := State{
		Scenario: w.scenario.Name, Summary: w.scenario.Summary, Now: now,
		RequestsPerMinute: w.opts.RequestsPerMinute, BucketSecs: int(bucket / time.Second),
		IDP: idp.health, LiveKids: idp.kids, SigningKid: idp.signing.kid, RotatedAt: idp.rotatedAt,
		CacheKey: w.opts.KeyName, CachedKids: []string{},
		Invoked: w.Invoked(), Remembered: w.Remembered(), Incidents: append([]Incident{}, w.Incidents()...), Notices: len(w.Notices()),
	}
	w.record.describe(&s, w.gateway.traffic.soFar(now))
	w.describeCache(&s)
	return s
}

// describe fills in what was counted until then.
func (r *record) describe(s *State, now time.Time) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	last := now.UnixNano() / int64(bucket)
	var ok, all int
	for n := last - int64(seriesLength/bucket) + 1; n <= last; n++ {
		p := Point{At: time.Unix(0, n*int64(bucket)).UTC()}
		if b := r.buckets[n]; b != nil {
			p.OK, p.Failed = b.ok, b.failed
		}
		if n > last-int64(rateWindow/bucket) {
			ok, all = ok+p.OK, all+p.OK+p.Failed
		}
		s.Series = append(s.Series, p)
	}
	if all > 0 {
		rate := float64(ok) / float64(all)
		s.SuccessRate = &rate
	}
	for n := now.Unix()/60 - 59; n <= now.Unix()/60; n++ {
		p := Point{At: time.Unix(n*60, 0).UTC()}
		if m := r.minutes[n]; m != nil {
			p.OK, p.Failed = int(m.requests-m.rejected), int(m.rejected)
		}
		s.Minutes = append(s.Minutes, p)
	}
	s.LastError, s.LastErrorAt, s.LastGoodAt = r.lastError.text, r.lastError.at, r.lastGood
}

// describeCache fills in what Redis holds.
func (w *World) describeCache(s *State) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if w.settings.perKid {
		w.describeKids(ctx, s)
		return
	}
	document, err := w.store.get(ctx, w.opts.KeyName)
	if errors.Is(err, errNil) {
		s.CacheNote = "no entry"
		return
	}
	if err != nil {
		s.CacheNote = err.Error()
		return
	}
	if ttl, err := w.store.ttl(ctx, w.opts.KeyName); err == nil {
		s.CachedTTL = int(ttl.Seconds())
		if ttl == runbook.NoExpiry {
			s.CachedTTL = -1
		}
	}
	kids, err := publishedKids([]byte(document))
	if err != nil {
		s.CacheNote = "not a key set"
		return
	}
	s.CachedKids = kids
}
