package runbook

import (
	"fmt"
	"slices"
	"sort"
	"time"
)

// Scope is how much of the cache a flush touches.
type Scope string

// Scopes of a flush.
const (
	ScopeKeys Scope = "keys" // the entries that match the target's patterns
	ScopeAll  Scope = "all"  // everything on every primary; only where the target allows it
)

// Route is the way that a flush takes.
type Route string

// Routes of a flush.
const (
	RouteDirect Route = "direct"        // jwksbot deletes the entries itself
	RouteBridge Route = "commandbridge" // CommandBridge is asked to; its answer is a claim
)

// Plan says exactly what a run will touch. It is what people approve.
type Plan struct {
	Target   string `json:"target"`
	Resource string `json:"resource"`
	// Steps are the mitigations in their order. A plan that was made by a version
	// that knew no other has none: it is a flush. Ask Has.
	Steps   []Mitigation `json:"steps"`
	Restart *RestartPlan `json:"restart,omitempty"` // of the step restart-authoriser
	Gateway *GatewayPlan `json:"gateway,omitempty"` // of the step flush-gateway
	Restore *RestorePlan `json:"restore,omitempty"` // of the step restore, which stands alone

	// Void are mitigations that have nothing to act on at this target, as far as
	// the checks saw: nobody is to be sent to ask for them next. It is no part of
	// the digest.
	Void []Mitigation `json:"void,omitempty"`

	// What follows is of the step flush-cache.
	Scope   Scope       `json:"scope"`
	Route   Route       `json:"route,omitempty"`
	Entries []PlanEntry `json:"entries"` // sorted by name
	// Live are the thumbprints of the live key set that the plan was made against.
	Live []string `json:"live"`
	// Verdict is what the checks said when the plan was made; Advice is why the
	// plan goes against it ("" when it fits).
	Verdict VerdictID `json:"verdict"`
	Summary string    `json:"summary"` // the verdict's sentence
	Advice  string    `json:"advice,omitempty"`
	// Others counts keys of the same cache that are not part of the plan; for
	// scope all they are destroyed as well. It moves all the time and is no
	// part of the digest.
	Others int64 `json:"others"`
	Shards int   `json:"shards"`
	// Kept counts matching entries that are left alone, with the reason.
	Current int `json:"current"` // they hold the live keys already
	Foreign int `json:"foreign"` // they belong to another issuer
	// Untouched names the matching entries that are left alone as they are: they
	// prove nothing about a refill.
	Untouched []EntryName `json:"untouched,omitempty"`
	// NoUndo says that no snapshot can be kept: too many entries or bytes, or the
	// whole group. What is deleted then is gone for good, and the deletion goes by
	// name alone.
	NoUndo bool `json:"no_undo,omitempty"`
	// Truncated says that Entries lists only a part of what matches and will be
	// deleted: there are more than can be read.
	Truncated bool `json:"truncated,omitempty"`
	// Patterns are the names that match, and Matching is how many did when the
	// plan was made: what a plan by name shows instead of every entry.
	Patterns []string `json:"patterns,omitempty"`
	Matching int64    `json:"matching,omitempty"`
	Digest   string   `json:"digest"`
}

// GatewayPlan is the result cache that will be emptied.
type GatewayPlan struct {
	Kind        APIKind       `json:"kind"`
	API         string        `json:"api"`
	Stage       string        `json:"stage"`
	Authorisers []string      `json:"authorisers"` // names of those whose results are cached
	TTL         time.Duration `json:"ttl"`         // the longest of theirs
}

// RestorePlan is what will be written back of another run's snapshot.
type RestorePlan struct {
	Of      string         `json:"of"` // the run that deleted it
	Force   bool           `json:"force,omitempty"`
	Entries []RestoreEntry `json:"entries"`
	// MoveBack is the restart of that run, whose alias is moved back; nil: none.
	MoveBack *RestartPlan `json:"move_back,omitempty"`
}

// RestoreEntry is one entry of a snapshot, and what would become of it.
type RestoreEntry struct {
	Name  EntryName `json:"name"`
	Shard string    `json:"shard"`
	Saved string    `json:"saved"` // identifies the saved bytes
	// Fate is how the cache stands to it: gone (it will be written), left (it is
	// there as it was saved), rewritten (a newer value is there, which only Force
	// overwrites), expired (its TTL has passed, it will not be written).
	Fate Fate `json:"fate"`
}

// ByName says that the flush deletes whatever matches, or everything, instead
// of a list of entries.
func (p Plan) ByName() bool { return p.Has(FlushCache) && (p.NoUndo || p.Scope == ScopeAll) }

// Reach is how many keys a flush by name is about to delete.
func (p Plan) Reach() int64 {
	if p.Scope == ScopeAll {
		return p.Matching + p.Others
	}
	return p.Matching
}

// Has says whether a mitigation is a step of the plan.
func (p Plan) Has(m Mitigation) bool {
	if len(p.Steps) == 0 {
		return m == FlushCache
	}
	return slices.Contains(p.Steps, m)
}

// Locks are the resources that the plan changes, its own one first.
func (p Plan) Locks() []string {
	out := []string{p.Resource}
	if p.Restart != nil {
		out = append(out, FunctionResource(p.Restart.Function))
	}
	if p.Gateway != nil {
		out = append(out, p.Gateway.Resource())
	}
	if p.Restore != nil && p.Restore.MoveBack != nil {
		out = append(out, FunctionResource(p.Restore.MoveBack.Function))
	}
	return slices.Compact(out)
}

// FunctionResource is what a restart of the function holds to itself.
func FunctionResource(name string) string { return "function " + FunctionName(name) }

// Resource is what emptying the result cache holds to itself.
func (g GatewayPlan) Resource() string {
	return fmt.Sprintf("result cache of %s API %s, stage %s", g.Kind, g.API, g.Stage)
}

// Name is the API as people call it.
func (g GatewayPlan) Name() string {
	return GatewaySetup{Kind: g.Kind, ID: g.API, Stage: g.Stage}.Title()
}

// PlanEntry is one cache entry that a plan deletes.
type PlanEntry struct {
	Name        EntryName `json:"name"`
	Shard       string    `json:"shard"`
	Format      string    `json:"format"`
	Kids        []string  `json:"kids"`
	Thumbprints []string  `json:"thumbprints"`
	Meaning     string    `json:"meaning"` // identifies what the entry says, not its bytes or TTL
}

// KidsGone lists the kids that leave the cache, sorted, without those that
// live under the same thumbprint and come back with the next refill.
func (p Plan) KidsGone() []string {
	live := map[string]bool{}
	for _, t := range p.Live {
		live[t] = true
	}
	seen := map[string]bool{}
	for _, e := range p.Entries {
		for i, kid := range e.Kids {
			if i < len(e.Thumbprints) && live[e.Thumbprints[i]] {
				continue
			}
			seen[kid] = true
		}
	}
	out := make([]string, 0, len(seen))
	for kid := range seen {
		out = append(out, kid)
	}
	sort.Strings(out)
	return out
}

// Invoked is how the gateway names the function.
func (r RestartPlan) Invoked() string {
	if r.Qualifier == "" {
		return r.Function
	}
	return r.Function + ":" + r.Qualifier
}

// Meanings tells what each listed entry meant.
func (p Plan) Meanings() map[EntryName]string {
	out := make(map[EntryName]string, len(p.Entries))
	for _, e := range p.Entries {
		out[e.Name] = e.Meaning
	}
	return out
}

// Writes counts the entries that would be written.
func (r RestorePlan) Writes() int {
	n := 0
	for _, e := range r.Entries {
		if e.Fate == FateGone || e.Fate == FateRewritten && r.Force {
			n++
		}
	}
	return n
}

// Empty says that nothing was planned: why not is told by the refusal beside it.
func (p Plan) Empty() bool {
	if r := p.Restore; r != nil {
		return len(r.Entries) == 0 && r.MoveBack == nil
	}
	return len(p.Steps) == 0
}
