package runbook

// judge refuses a plan that needs another word of the requester, or that would
// do nothing.
func (p Plan) judge(v Verdict, w wish) error {
	const anew = "To do it all the same, request it again with an override and its own reason."
	flush := p.Has(FlushCache)
	switch {
	case flush && p.Truncated && p.Scope == ScopeKeys && p.Foreign > 0:
		return refuse(RefusedUnsafe, "Refused: more entries match than can be listed, so they would be deleted by name alone, and %s among them %s to another issuer. Narrow cache.keys.", plural(p.Foreign, "entry", "entries"), verb(p.Foreign, "belongs", "belong"))
	case flush && p.Truncated && !w.meant:
		return refuse(RefusedOverride, "More entries match than can be listed and copied (%s were): this flush could not be undone, and would delete by name alone what matches cache.keys. Narrow cache.keys, or raise snapshot.max_entries and snapshot.max_bytes. %s", plural(len(p.Entries)+p.Current, "entry", "entries"), anew)
	case flush && p.NoUndo && !w.meant:
		return refuse(RefusedOverride, "A flush of the whole replication group cannot be undone, and also deletes %s that are not JWKS. %s", plural(int(p.Others), "key", "keys"), anew)
	case p.Advice != "" && !w.meant:
		return refuse(RefusedOverride, "The verdict is %q, and it advises against %s: %s. %s", v.ID.words(), p.noun(), p.Advice, anew)
	case flush && len(p.Entries) == 0 && p.Scope == ScopeKeys && !p.Truncated && v.Advises(FlushCache):
		return refuse(RefusedNothing, "Nothing to flush: no entry holds an old key, the one that fails is only missing. Restart the authoriser if it does not fetch the key by itself.")
	case flush && len(p.Entries) == 0 && p.Scope == ScopeKeys && !p.Truncated:
		return refuse(RefusedNothing, "Nothing to flush: %s", v.Summary)
	}
	return nil
}
