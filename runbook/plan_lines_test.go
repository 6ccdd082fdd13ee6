package runbook

import (
	"strings"
	"testing"
)

// What is dangerous must reach everybody who decides: as a line of its own, and
// in the few words of a dialog.
func TestDangersOfAPlan(t *testing.T) {
	entry := PlanEntry{Name: "jwks:a", Shard: "0001", Format: "JSON key set", Kids: []string{"old"}, Thumbprints: []string{"t"}}
	for name, c := range map[string]struct {
		plan  Plan
		want  map[string]Danger // by lead
		short string
	}{
		"a flush": {Plan{Entries: []PlanEntry{entry}}, map[string]Danger{}, "Deletes 1 entry on 1 shard. Key `old` leaves the cache"},
		"the whole group": {Plan{Scope: ScopeAll, Shards: 3, Others: 41210, Foreign: 1, NoUndo: true},
			map[string]Danger{"Deletes everything": Destructive, "The whole group is flushed:": Destructive, "Cannot be undone:": Lasting},
			"Deletes everything on all 3 shards. Also destroys 41,210 keys that are not JWKS. It cannot be undone"},
		"by name": {Plan{Entries: []PlanEntry{entry}, Truncated: true, NoUndo: true, Matching: 14302, Shards: 3, Patterns: []string{"jwks:*"}},
			map[string]Danger{"Cannot be undone:": Lasting},
			"Deletes 14,302 entries by name on all 3 shards. Key `old` leaves the cache. It cannot be undone"},
		"a forced undo": {Plan{Steps: []Mitigation{RestoreCache}, Restore: &RestorePlan{Of: "0214-a", Force: true, Entries: []RestoreEntry{{Name: "jwks:a", Fate: FateRewritten}}}},
			map[string]Danger{"Overwrites newer values": Destructive, "The old keys come back:": Lasting},
			"Writes back what run `0214-a` deleted. Overwrites newer values. The old keys come back"},
	} {
		t.Run(name, func(t *testing.T) {
			got := map[string]Danger{}
			var short []string
			for _, l := range c.plan.Lines() {
				if l.Danger > Harmless {
					got[l.Lead] = l.Danger
				}
				if l.Short != "" {
					short = append(short, l.Short)
				}
			}
			for lead, danger := range c.want {
				if got[lead] != danger {
					t.Errorf("%q is shown as danger %d, want %d", lead, got[lead], danger)
				}
			}
			if len(got) != len(c.want) {
				t.Errorf("dangers: %v, want %v", got, c.want)
			}
			if s := strings.Join(short, ". "); s != c.short {
				t.Errorf("in short: %s\nwant      %s", s, c.short)
			}
		})
	}
}

// A line names no more than its medium has room for, and counts the rest.
func TestPlainLine(t *testing.T) {
	l := PlanLine{Lead: "Deletes 3 entries", Text: "on 1 shard", Names: []string{"a", "b", "c"}}
	for shown, want := range map[int]string{1: "Deletes 3 entries on 1 shard: a and 2 more", 2: "Deletes 3 entries on 1 shard: a, b and 1 more", 3: "Deletes 3 entries on 1 shard: a, b, c"} {
		if got := l.Plain(shown); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestTasksOfAPlan(t *testing.T) {
	all := Plan{Steps: []Mitigation{FlushCache, RestartAuthoriser, FlushGateway}, Entries: make([]PlanEntry, 3),
		Restart: &RestartPlan{Function: "auth", Qualifier: "live"}, Gateway: &GatewayPlan{Kind: RestAPI, API: "abc", Stage: "prod"}}
	undo := Plan{Steps: []Mitigation{RestoreCache}, Restore: &RestorePlan{Of: "0214-a", Entries: []RestoreEntry{{Fate: FateGone}}}}
	unknown := Plan{Steps: []Mitigation{"of-a-newer-version"}}
	for _, c := range []struct{ got, want string }{
		{all.Task(), "flush 3 entries, restart the authoriser and flush the gateway's cache"},
		{all.ShortTask(), "flush, restart the authoriser and flush the gateway's cache"},
		{all.ExactTask(), "flush 3 entries, restart the authoriser (auth:live) and flush the gateway's cache (result cache of rest API abc, stage prod)"},
		{all.DoneTask("proven"), "flushed, restarted, gateway flushed and proven"},
		{all.Noun(), "flush"},
		{undo.Task(), "undo run `0214-a`"}, {undo.ShortTask(), "undo run 0214-a"}, {undo.ExactTask(), "undo run 0214-a (1 entry to write back)"}, {undo.DoneTask(), "undone"},
		{unknown.DoneTask(), "done"}, {unknown.Noun(), "run"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
