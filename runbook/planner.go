package runbook

// planFlush resolves a flush to exactly what it will touch, from a report.
// Entries that hold the live keys already are left alone unless somebody
// overrides the verdict, since deleting them changes nothing; entries of other
// issuers always are.
func (t *Target) planFlush(r Report, scope Scope, override bool) Plan {
	f := gather(r.Evidence)
	p := Plan{Target: t.Name, Resource: t.Resource, Scope: scope, Live: f.live.Thumbprints(),
		Verdict: r.Diagnosis.Verdict.ID, Summary: r.Diagnosis.Verdict.Summary, Advice: r.Diagnosis.Verdict.Objection(FlushCache)}
	if f.Cached == nil {
		p.seal()
		return p
	}
	p.Others, p.Shards = f.Cached.Others, len(f.Cached.Shards)
	p.NoUndo = f.Cached.Truncated || scope == ScopeAll
	for _, e := range f.Cached.Entries {
		switch {
		case e.Foreign != "":
			p.Foreign++
		case f.current(e) && !override && scope == ScopeKeys:
			p.Current++
			p.Untouched = append(p.Untouched, e.Name)
		default:
			p.Entries = append(p.Entries, planEntry(e))
		}
	}
	p.seal()
	return p
}

// current says that the entry holds live keys only, and all of them if it is a
// whole key set.
func (f *facts) current(e Entry) bool {
	if !f.liveOK {
		return false
	}
	switch e.Reading.Content {
	case ContentKeys:
		c := compare(e, f.live, e.Reading.Set)
		if e.Reading.perKid() {
			return len(c.retired)+len(c.rekeyed)+len(c.renamed) == 0
		}
		return c.same()
	case ContentNegative:
		return !f.inLive(e.Reading.Kid)
	case ContentUnknown:
		// Nobody knows what it is; only an override touches it.
		return true
	}
	return false
}

func planEntry(e Entry) PlanEntry {
	p := PlanEntry{Name: e.Name, Shard: e.Shard, Format: e.Reading.Format, Kids: []string{}, Thumbprints: []string{}, Meaning: e.meaning()}
	for _, k := range e.Reading.Set.Keys {
		p.Kids = append(p.Kids, k.Kid)
		p.Thumbprints = append(p.Thumbprints, k.Thumbprint)
	}
	return p
}
