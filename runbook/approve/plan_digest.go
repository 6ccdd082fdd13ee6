package approve

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"sort"

	"jwksbot/runbook"
)

// seal computes the digest: it covers what a plan means (steps, scope, route,
// live thumbprints, name and meaning of every entry, the function's version,
// revision and code, the gateway's stage, what would be written back). TTLs and
// other owners' counts are left out, so that it settles on a busy cache; so are
// the entries of a plan that lists only some of them.
func seal(p *runbook.Plan) {
	sort.Slice(p.Entries, func(i, j int) bool { return p.Entries[i].Name < p.Entries[j].Name })
	h := sha256.New()
	fmt.Fprintf(h, "jwksbot plan 2\n%q %q %q\n", p.Target, p.Resource, p.Steps)
	if p.Has(runbook.FlushCache) {
		writeFlush(p, h)
	}
	if r := p.Restart; r != nil {
		fmt.Fprintf(h, "restart %q\n", terms(*r))
	}
	if g := p.Gateway; g != nil {
		fmt.Fprintf(h, "gateway %q %q %q\n", g.Kind, g.API, g.Stage)
	}
	if r := p.Restore; r != nil {
		write(*r, h)
	}
	p.Digest = hex.EncodeToString(h.Sum(nil))
}

func writeFlush(p *runbook.Plan, h io.Writer) {
	fmt.Fprintf(h, "flush %q %q %t\n", p.Scope, p.Route, p.NoUndo)
	for _, t := range p.Live {
		fmt.Fprintf(h, "live %q\n", t)
	}
	if p.Truncated {
		fmt.Fprintf(h, "patterns %q\n", p.Patterns)
		return
	}
	for _, e := range p.Entries {
		fmt.Fprintf(h, "entry %q %q\n", string(e.Name), e.Meaning)
	}
}

// terms are what a restart is bound to.
func terms(r runbook.RestartPlan) []string {
	return []string{r.Function, r.Qualifier, r.Version, string(r.Mode), r.Revision, r.AliasRevision, r.CodeSHA}
}

func write(r runbook.RestorePlan, h io.Writer) {
	fmt.Fprintf(h, "restore %q %t\n", r.Of, r.Force)
	for _, e := range r.Entries {
		fmt.Fprintf(h, "saved %q %q\n", string(e.Name), e.Saved)
	}
	if r.MoveBack != nil {
		fmt.Fprintf(h, "back %q %q %q\n", r.MoveBack.Function, r.MoveBack.Qualifier, r.MoveBack.Version)
	}
}
