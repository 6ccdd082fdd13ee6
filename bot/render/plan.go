package render

import (
	"cmp"
	"fmt"
	"strings"
	"unicode/utf8"

	"jwksbot/runbook"
)

// What a plan does, in the words of a card: each step with exactly what it
// touches, and what cannot be taken back.

// taskText says what a plan does, as what follows "to".
func taskText(p runbook.Plan) string {
	var parts []string
	if p.Has(runbook.FlushCache) {
		parts = append(parts, "flush "+entriesText(p))
	}
	return andList(append(parts, otherTasks(p)...))
}

// entriesText counts what a flush deletes.
func entriesText(p runbook.Plan) string {
	n := runbook.Plural(len(p.Entries), "entry", "entries")
	switch {
	case p.Scope == runbook.ScopeAll:
		return "the whole group"
	case p.Truncated:
		return runbook.Plural(int(max(p.Matching, int64(len(p.Entries)))), "entry", "entries") + " by name"
	}
	return n
}

// shortTask is taskText for a header: without counts and ids.
func shortTask(p runbook.Plan) string {
	var parts []string
	if p.Has(runbook.FlushCache) {
		parts = append(parts, "flush")
	}
	for _, t := range otherTasks(p) {
		parts = append(parts, strings.ReplaceAll(t, "`", ""))
	}
	return andList(parts)
}

func otherTasks(p runbook.Plan) []string {
	var parts []string
	if p.Has(runbook.RestartAuthoriser) {
		parts = append(parts, "restart the authoriser")
	}
	if p.Has(runbook.FlushGateway) {
		parts = append(parts, "flush the gateway's cache")
	}
	if p.Has(runbook.RestoreCache) {
		s := "undo a run"
		if p.Restore != nil {
			s = "undo run " + Code(p.Restore.Of)
		}
		parts = append(parts, s)
	}
	return parts
}

// doneTask says what a plan did, with what else can be said of it.
func doneTask(p runbook.Plan, more ...string) string {
	var parts []string
	if p.Has(runbook.FlushCache) {
		parts = append(parts, "flushed")
	}
	if p.Has(runbook.RestartAuthoriser) {
		parts = append(parts, "restarted")
	}
	if p.Has(runbook.FlushGateway) {
		parts = append(parts, "gateway flushed")
	}
	if p.Has(runbook.RestoreCache) {
		parts = append(parts, "undone")
	}
	return runbook.Capital(cmp.Or(andList(append(parts, more...)), "done"))
}

// planLines say exactly what every step of a plan touches and what it spares.
func planLines(p runbook.Plan) []string {
	var lines []string
	if p.Has(runbook.FlushCache) {
		lines = append(lines, flushLines(p)...)
	}
	if p.Has(runbook.RestartAuthoriser) && p.Restart != nil {
		lines = append(lines, restartLines(*p.Restart)...)
	}
	if p.Has(runbook.FlushGateway) && p.Gateway != nil {
		lines = append(lines, gatewayLines(*p.Gateway)...)
	}
	if p.Restore != nil {
		lines = append(lines, restoreLines(*p.Restore)...)
	}
	return lines
}

// flushLines say what a flush deletes, what leaves with it, and what it spares.
func flushLines(p runbook.Plan) []string {
	lines := []string{deleteText(p)}
	if p.Route == runbook.RouteBridge {
		lines = append(lines, "*Through CommandBridge:* its answer is a claim, so the cache is read again afterwards")
	}
	if p.Scope == runbook.ScopeAll {
		lines = append(lines, fmt.Sprintf("🚨 *The whole group is flushed:* also deletes %s that are not JWKS, such as sessions of signed-in users, and %s",
			runbook.Plural(int(p.Others), "key", "keys"), runbook.Plural(p.Foreign, "entry of another issuer", "entries of other issuers")))
	}
	if gone := p.KidsGone(); len(gone) > 0 {
		among := ""
		if p.Truncated {
			among = ", among those that could be read"
		}
		lines = append(lines, "*Keys that leave the cache for good"+among+":* "+codes(gone, namesOnRun)+"; tokens signed with them are refused from then on")
	} else if len(p.Entries) > 0 && !p.Truncated {
		lines = append(lines, "No live key is lost: what is live comes back with the next token")
	}
	if p.Scope != runbook.ScopeAll {
		if spared := sparedText(p.Current, p.Foreign, p.Others); spared != "" {
			lines = append(lines, "*Left alone:* "+spared)
		}
	}
	if p.NoUndo {
		return append(lines, "⚠️ *Cannot be undone:* no copy is kept, and what is deleted is gone for good")
	}
	return append(lines, "A copy of every entry is kept first; an entry that somebody rewrites meanwhile survives")
}

func deleteText(p runbook.Plan) string {
	if p.Scope == runbook.ScopeAll {
		return fmt.Sprintf("*Deletes everything* on %s of %s", shardsText(p), Quoted(p.Resource, LimitName))
	}
	if p.Truncated {
		return fmt.Sprintf("*Deletes %s, whatever they hold:* everything that matches %s on %s of %s. That many matched when this plan was made",
			entriesText(p), codes(p.Patterns, namesOnRun), shardsText(p), Quoted(p.Resource, LimitName))
	}
	names := make([]string, len(p.Entries))
	for i, e := range p.Entries {
		names[i] = e.Name.String()
	}
	s := fmt.Sprintf("*Deletes %s* on %s of %s", entriesText(p), shardsText(p), Quoted(p.Resource, LimitName))
	if len(names) > 0 {
		s += ": " + codes(names, namesOnRun)
	}
	return s
}

// shardsText counts the primaries on which something is deleted.
func shardsText(p runbook.Plan) string {
	shards := map[string]bool{}
	for _, e := range p.Entries {
		shards[e.Shard] = true
	}
	if p.Scope == runbook.ScopeAll || p.Truncated {
		return "all " + runbook.Plural(p.Shards, "shard", "shards")
	}
	return runbook.Plural(len(shards), "shard", "shards")
}

// restartLines say which function is renewed and how.
func restartLines(p runbook.RestartPlan) []string {
	return []string{
		"*Restarts the authoriser* " + functionText(p.Function, p.Qualifier, p.Version) + ": " + renewText(p.Mode, p.Provisioned),
		"The first requests to new environments take longer. Refused without any change if somebody deploys meanwhile",
	}
}

// gatewayLines say whose results are forgotten.
func gatewayLines(p runbook.GatewayPlan) []string {
	s := "*Flushes the gateway's authoriser cache* of " + apiText(runbook.GatewaySetup{Kind: p.Kind, ID: p.API, Stage: p.Stage})
	if len(p.Authorisers) > 0 {
		s += " (" + codes(p.Authorisers, namesInReport) + ")"
	}
	if p.TTL > 0 {
		s += "; its answers expire by themselves after " + runbook.Duration(p.TTL)
	}
	return []string{s, "All that can be known is that API Gateway accepted it: the effect cannot be read back"}
}

// restoreLines say what comes back, and what stays as it is.
func restoreLines(p runbook.RestorePlan) []string {
	byFate := map[runbook.Fate][]string{}
	for _, e := range p.Entries {
		byFate[e.Fate] = append(byFate[e.Fate], e.Name.String())
	}
	written := byFate[runbook.FateGone]
	if p.Force {
		written = append(written, byFate[runbook.FateRewritten]...)
	}
	lines := []string{fmt.Sprintf("*Writes back %s* that run %s deleted", runbook.Plural(len(written), "entry", "entries"), Code(p.Of))}
	if len(written) > 0 {
		lines[0] += ": " + codes(written, namesOnRun)
	}
	if newer := byFate[runbook.FateRewritten]; len(newer) > 0 {
		if p.Force {
			lines = append(lines, "🚨 *Overwrites newer values* of "+codes(newer, namesOnRun))
		} else {
			lines = append(lines, "*Left alone,* since a newer value is there: "+codes(newer, namesOnRun))
		}
	}
	if n := len(byFate[runbook.FateLeft]); n > 0 {
		lines = append(lines, runbook.Plural(n, "entry is", "entries are")+" already there as saved")
	}
	if n := len(byFate[runbook.FateExpired]); n > 0 {
		lines = append(lines, runbook.Plural(n, "entry has", "entries have")+" outlived the TTL and will not come back")
	}
	if m := p.MoveBack; m != nil {
		lines = append(lines, "*Moves the alias back:* "+Code(m.Function)+" by "+Code(m.Qualifier)+" to version "+Code(m.Version))
	}
	return append(lines, "⚠️ *The old keys come back:* the verdict that called for the flush will hold again")
}

// confirmText states the effect once more, in the few words that a dialog takes.
func confirmText(p runbook.Plan) string {
	parts := confirmParts(p)
	if p.Advice != "" {
		parts = append(parts, "This goes *against the verdict*.")
	}
	if p.NoUndo {
		parts = append(parts, "It *cannot be undone*.")
	}
	if p.Has(runbook.FlushCache) {
		switch gone := p.KidsGone(); len(gone) {
		case 0:
		case 1:
			parts = append(parts, "Key "+Code(runbook.Clip(gone[0], 60))+" leaves the cache.")
		default:
			parts = append(parts, runbook.Plural(len(gone), "key leaves", "keys leave")+" the cache.")
		}
		parts = append(parts, "The effect is read back.")
	}
	s := ""
	for _, part := range parts {
		if utf8.RuneCountInString(s+" "+part) > limitConfirmText {
			break
		}
		s = strings.TrimSpace(s + " " + part)
	}
	return s
}

func confirmParts(p runbook.Plan) []string {
	var parts []string
	if p.Has(runbook.FlushCache) {
		if p.Scope == runbook.ScopeAll {
			parts = append(parts, "Deletes *everything* on "+shardsText(p)+".", fmt.Sprintf("*Also destroys %s that are not JWKS.*", runbook.Plural(int(p.Others), "key", "keys")))
		} else {
			parts = append(parts, fmt.Sprintf("Deletes *%s* on %s.", entriesText(p), shardsText(p)))
		}
	}
	if p.Restart != nil {
		parts = append(parts, "Restarts "+Code(runbook.Clip(p.Restart.Function, 60))+".")
	}
	if p.Gateway != nil {
		parts = append(parts, "Flushes the gateway's authoriser cache, stage "+Code(runbook.Clip(p.Gateway.Stage, 40))+".")
	}
	if p.Restore != nil {
		parts = append(parts, fmt.Sprintf("Writes back what run %s deleted: *the old keys come back*.", Code(runbook.Clip(p.Restore.Of, 40))))
	}
	return parts
}
