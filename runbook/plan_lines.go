package runbook

import (
	"cmp"
	"fmt"
	"strings"
)

// Danger is how loudly a line of a plan has to be shown.
type Danger int

// Dangers, each above the one before.
const (
	Harmless    Danger = iota
	Lasting            // it cannot be taken back, or brings back what was wrong
	Destructive        // it destroys what belongs to others, or what is newer
)

// PlanLine is one thing that a plan does or spares. Slack, terminal and record
// write it with marks of their own; what it says is decided here.
type PlanLine struct {
	Danger Danger
	Lead   string // the words to emphasise
	Text   string // what follows; names stand in code marks
	// Names are what the line lists, after a colon: entries, kids or patterns.
	// Each medium shows as many as it has room for.
	Names []string
	// Entries are the ones that Names lists, where a plan knows them one by one.
	Entries []PlanEntry
	// Short is the line in the few words of a dialog; "" when a dialog can do
	// without it.
	Short string
}

// Sentence is the line without the names that it lists.
func (l PlanLine) Sentence() string { return strings.TrimSpace(l.Lead + " " + l.Text) }

// Plain is the line as text, with at most a number of the names that it lists.
func (l PlanLine) Plain(shown int) string {
	if len(l.Names) == 0 {
		return l.Sentence()
	}
	names := strings.Join(l.Names[:min(shown, len(l.Names))], ", ")
	if more := len(l.Names) - shown; more > 0 {
		names += " and " + Plural(more, "more", "more")
	}
	return l.Sentence() + ": " + names
}

// Lines say exactly what every step of the plan touches and what it spares.
func (p Plan) Lines() []PlanLine {
	var lines []PlanLine
	if p.Has(FlushCache) {
		lines = append(lines, p.flushLines()...)
	}
	if p.Restart != nil {
		lines = append(lines, p.Restart.lines()...)
	}
	if p.Gateway != nil {
		lines = append(lines, p.Gateway.lines()...)
	}
	if p.Restore != nil {
		lines = append(lines, p.Restore.lines()...)
	}
	return lines
}

func (p Plan) flushLines() []PlanLine {
	lines := []PlanLine{p.deleteLine()}
	if p.Route == RouteBridge {
		lines = append(lines, PlanLine{Lead: "Through CommandBridge:", Text: "its answer is a claim, so the cache is read again afterwards"})
	}
	if p.Scope == ScopeAll {
		others := Plural(int(p.Others), "key that is not JWKS", "keys that are not JWKS")
		lines = append(lines, PlanLine{Danger: Destructive, Lead: "The whole group is flushed:",
			Text:  fmt.Sprintf("also deletes %s, such as sessions of signed-in users, and %s", others, Plural(p.Foreign, "entry of another issuer", "entries of other issuers")),
			Short: "Also destroys " + others})
	}
	lines = append(lines, p.keyLines()...)
	if spared := Spared(p.Current, p.Foreign, p.Others); spared != "" && p.Scope != ScopeAll {
		lines = append(lines, PlanLine{Lead: "Left alone:", Text: spared})
	}
	if p.NoUndo {
		return append(lines, PlanLine{Danger: Lasting, Lead: "Cannot be undone:", Text: "no copy is kept, and what is deleted is gone for good", Short: "It cannot be undone"})
	}
	return append(lines, PlanLine{Text: "A copy of every entry is kept first; an entry that somebody rewrites in the meantime survives"})
}

// deleteLine says what is deleted, and where.
func (p Plan) deleteLine() PlanLine {
	shards := p.shards()
	where := fmt.Sprintf("on %s of %s", shards, Clip(p.Resource, maxQuoted))
	l := PlanLine{Lead: "Deletes " + p.Extent(), Text: where, Short: fmt.Sprintf("Deletes %s on %s", p.Extent(), shards)}
	switch {
	case p.Scope == ScopeAll:
		l.Danger, l.Lead, l.Short = Destructive, "Deletes everything", "Deletes everything on "+shards
	case p.Truncated:
		l.Lead += ", whatever they hold,"
		l.Text += ". So many matched when this plan was made; everything that matches when it runs is deleted"
		l.Names = p.Patterns
	default:
		l.Entries = p.Entries
		for _, e := range p.Entries {
			l.Names = append(l.Names, e.Name.String())
		}
	}
	return l
}

// keyLines say which keys leave with the entries.
func (p Plan) keyLines() []PlanLine {
	gone := p.KidsGone()
	switch {
	case len(gone) > 0:
		l := PlanLine{Lead: "Keys that leave the cache for good", Names: gone,
			Text:  "(tokens signed with them are refused from then on)",
			Short: Plural(len(gone), "key leaves", "keys leave") + " the cache"}
		if p.Truncated {
			l.Lead += ", among those that could be read"
		}
		if len(gone) == 1 {
			l.Short = "Key " + Quote(Clip(gone[0], maxShort)) + " leaves the cache"
		}
		return []PlanLine{l}
	case len(p.Entries) > 0 && !p.Truncated:
		return []PlanLine{{Text: "No live key is lost: what is live comes back with the next token"}}
	}
	return nil
}

// maxShort is the length in runes of a name in a dialog.
const maxShort = 60

// Extent counts what a flush deletes.
func (p Plan) Extent() string {
	switch {
	case p.Scope == ScopeAll:
		return "the whole group"
	case p.Truncated:
		return Plural(int(max(p.Matching, int64(len(p.Entries)))), "entry", "entries") + " by name"
	}
	return Plural(len(p.Entries), "entry", "entries")
}

// shards counts the primaries on which something is deleted.
func (p Plan) shards() string {
	if p.Scope == ScopeAll || p.Truncated {
		return "all " + Plural(p.Shards, "shard", "shards")
	}
	shards := map[string]bool{}
	for _, e := range p.Entries {
		shards[e.Shard] = true
	}
	return Plural(len(shards), "shard", "shards")
}

// Spared lists what a flush of the matching keys does not touch; "" for nothing.
func Spared(current, foreign int, others int64) string {
	var parts []string
	if current > 0 {
		parts = append(parts, Plural(current, "entry that holds the live keys", "entries that hold the live keys"))
	}
	if foreign > 0 {
		parts = append(parts, Plural(foreign, "entry of another issuer", "entries of other issuers"))
	}
	if others > 0 {
		parts = append(parts, Plural(int(others), "other key", "other keys"))
	}
	return AndList(parts)
}

// Text says what an entry of a plan is and holds.
func (e PlanEntry) Text() string {
	kids := "no keys"
	if len(e.Kids) > 0 {
		kids = "kids " + QuoteAll(e.Kids)
	}
	where := ""
	if e.Shard != "" {
		where = " on shard " + Quote(e.Shard)
	}
	return fmt.Sprintf("%s%s, %s: %s", Quote(e.Name.String()), where, cmp.Or(e.Format, "unknown format"), kids)
}

func (r RestartPlan) lines() []PlanLine {
	return []PlanLine{
		{Lead: "Restarts the authoriser", Text: InvokedText(r.Function, r.Qualifier, r.Version) + ": " + r.Mode.Text(r.Qualifier, r.Provisioned),
			Short: "Restarts " + Quote(Clip(r.Function, maxShort))},
		{Text: "The first requests to new environments take longer. It is refused without any change if somebody deploys in the meantime"},
	}
}

func (g GatewayPlan) lines() []PlanLine {
	text := "of " + g.Name()
	if len(g.Authorisers) > 0 {
		text += " (" + QuoteAll(g.Authorisers) + ")"
	}
	if g.TTL > 0 {
		text += "; its answers expire by themselves after " + Duration(g.TTL)
	}
	return []PlanLine{
		{Lead: "Flushes the gateway's authoriser cache", Text: text, Short: "Flushes the gateway's authoriser cache, stage " + Quote(Clip(g.Stage, maxShort))},
		{Text: "All that can be known is that API Gateway accepted it: the effect cannot be read back"},
	}
}

func (r RestorePlan) lines() []PlanLine {
	fates := map[Fate][]string{}
	for _, e := range r.Entries {
		fates[e.Fate] = append(fates[e.Fate], e.Name.String())
	}
	written, newer := fates[FateGone], fates[FateRewritten]
	if r.Force {
		written = append(written, newer...)
	}
	run := Quote(Clip(r.Of, maxShort))
	lines := []PlanLine{{Lead: "Writes back " + Plural(len(written), "entry", "entries"), Text: "that run " + run + " deleted", Names: written,
		Short: "Writes back what run " + run + " deleted"}}
	switch {
	case len(newer) > 0 && r.Force:
		lines = append(lines, PlanLine{Danger: Destructive, Lead: "Overwrites newer values", Text: "of " + Plural(len(newer), "entry", "entries"), Names: newer, Short: "Overwrites newer values"})
	case len(newer) > 0:
		lines = append(lines, PlanLine{Lead: "Left alone,", Text: "since a newer value is there", Names: newer})
	}
	if n := len(fates[FateLeft]); n > 0 {
		lines = append(lines, PlanLine{Text: Plural(n, "entry is", "entries are") + " already there as saved"})
	}
	if n := len(fates[FateExpired]); n > 0 {
		lines = append(lines, PlanLine{Text: Plural(n, "entry has", "entries have") + " outlived the TTL and will not come back"})
	}
	if m := r.MoveBack; m != nil {
		lines = append(lines, PlanLine{Lead: "Moves the alias back:", Text: Quote(m.Qualifier) + " of " + Quote(m.Function) + " to version " + Quote(m.Version)})
	}
	return append(lines, PlanLine{Danger: Lasting, Lead: "The old keys come back:", Text: "the verdict that called for the flush will hold again", Short: "The old keys come back"})
}
