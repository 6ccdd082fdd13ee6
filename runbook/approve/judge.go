package approve

import "jwksbot/runbook"

// judge refuses a plan that needs another word of the requester, or that would
// do nothing.
func judge(p runbook.Plan, v runbook.Verdict, w Intent) error {
	const anew = "To do it all the same, request it again with an override and its own reason."
	flush := p.Has(runbook.FlushCache)
	switch {
	case flush && p.Truncated && p.Scope == runbook.ScopeKeys && p.Foreign > 0:
		return runbook.Refuse(runbook.RefusedUnsafe, "Refused: more entries match than can be listed, so they would be deleted by name alone, and %s among them %s to another issuer. Narrow cache.keys.", runbook.Plural(p.Foreign, "entry", "entries"), runbook.Verb(p.Foreign, "belongs", "belong"))
	case flush && p.Truncated && !w.Meant:
		return runbook.Refuse(RefusedOverride, "More entries match than can be listed and copied (%s were): this flush could not be undone, and would delete by name alone what matches cache.keys. Narrow cache.keys, or raise snapshot.max_entries and snapshot.max_bytes. %s", runbook.Plural(len(p.Entries)+p.Current, "entry", "entries"), anew)
	case flush && p.NoUndo && !w.Meant:
		return runbook.Refuse(RefusedOverride, "A flush of the whole replication group cannot be undone, and also deletes %s that are not JWKS. %s", runbook.Plural(int(p.Others), "key", "keys"), anew)
	case p.Advice != "" && !w.Meant:
		return runbook.Refuse(RefusedOverride, "The verdict is %q, and it advises against %s: %s. %s", v.ID.Words(), called(p), p.Advice, anew)
	case flush && len(p.Entries) == 0 && p.Scope == runbook.ScopeKeys && !p.Truncated && v.Advises(runbook.FlushCache):
		return runbook.Refuse(runbook.RefusedNothing, "Nothing to flush: no entry holds an old key, the one that fails is only missing. Restart the authoriser if it does not fetch the key by itself.")
	case flush && len(p.Entries) == 0 && p.Scope == runbook.ScopeKeys && !p.Truncated:
		return runbook.Refuse(runbook.RefusedNothing, "Nothing to flush: %s", v.Summary)
	}
	return nil
}

// called is what the plan is called in a sentence.
func called(p runbook.Plan) string {
	if len(p.Tasks()) == 1 {
		return "a " + p.Noun()
	}
	return "this"
}
