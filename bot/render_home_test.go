package bot

import (
	"encoding/json"
	"fmt"
	"testing"

	"jwksbot/runbook"
)

func TestHomeBlocks(t *testing.T) {
	in := homeInput{Targets: []homeTarget{
		{"production", seenVerdict{runbook.Diagnose(staleEvidence()).Verdict.Finding, noon}, false},
		{"staging", seenVerdict{}, false}, {"sandbox", seenVerdict{}, true},
	}}
	for i, s := range []runbook.State{runbook.StatePending, runbook.StateFlush, runbook.StateDone, runbook.StateDenied} {
		r := inState(s)
		if i == 3 {
			r.Target = "staging"
		}
		in.Runs = append(in.Runs, linkedRun{r, "https://northwind.slack.com/archives/C0BRIDGE/p1771038000000100"})
	}
	golden(t, "home.json", asJSON(t, homeBlocks(in)))
	for _, many := range []homeInput{in, crowdedHome()} {
		blocks := homeBlocks(many)
		if len(blocks) > limitHome {
			t.Errorf("%d blocks", len(blocks))
		}
		c := &limitChecker{t: t}
		var raw []any
		if err := json.Unmarshal(asJSON(t, blocks), &raw); err != nil {
			t.Fatal(err)
		}
		for i, b := range raw {
			c.block(fmt.Sprintf("blocks[%d]", i), b.(map[string]any))
		}
	}
}

// crowdedHome has more of everything than fits.
func crowdedHome() (in homeInput) {
	states := runbook.States()
	for i := range 200 {
		in.Targets = append(in.Targets, homeTarget{nasty(i), seenVerdict{runbook.Finding{ID: runbook.VerdictID(nasty(i)), Summary: nasty(i)}, noon}, false})
		r := inState(states[i%len(states)])
		r.Target, r.Outcome, r.Ticket = nasty(i), nasty(i), nasty(i)
		in.Runs = append(in.Runs, linkedRun{r, "https://northwind.slack.com/archives/C0BRIDGE/p1771038000000100"})
	}
	return in
}
