package runbook

// maxRememberedBytes bounds what the reports that are remembered hold of caches,
// which may have been filled by anybody.
const maxRememberedBytes = 32 << 20

// weight is about how much memory a report holds of a cache.
func (r Report) weight() (n int) {
	if r.Evidence.Cached == nil {
		return 0
	}
	for _, e := range r.Evidence.Cached.Entries {
		n += len(e.Name) + e.Reading.kept()
	}
	return n
}

// lighten forgets the oldest reports while all together hold too much. The
// newest one stays.
func (r *Runner) lighten() {
	for {
		total, oldest, newest := 0, "", ""
		for key, p := range r.reports {
			if p.at.IsZero() {
				continue // still being made
			}
			total += p.weight
			if oldest == "" || p.at.Before(r.reports[oldest].at) {
				oldest = key
			}
			if newest == "" || p.at.After(r.reports[newest].at) {
				newest = key
			}
		}
		if total <= maxRememberedBytes || oldest == newest {
			return
		}
		delete(r.reports, oldest)
	}
}
