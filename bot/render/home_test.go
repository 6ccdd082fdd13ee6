package render

import (
	"encoding/json"
	"fmt"
	"testing"

	"jwksbot/runbook"
	"jwksbot/runbook/diagnose"
)

func TestHomeBlocks(t *testing.T) {
	in := HomeInput{Targets: []HomeTarget{
		{"production", SeenVerdict{diagnose.Diagnose(staleEvidence()).Verdict.Finding, noon}, false},
		{"staging", SeenVerdict{}, false}, {"sandbox", SeenVerdict{}, true},
	}}
	for i, s := range []runbook.State{runbook.StatePending, runbook.StateFlush, runbook.StateDone, runbook.StateDenied} {
		r := inState(s)
		if i == 3 {
			r.Target = "staging"
		}
		in.Runs = append(in.Runs, LinkedRun{r, "https://northwind.slack.com/archives/C0BRIDGE/p1771038000000100"})
	}
	golden(t, "home.json", asJSON(t, Home(in)))
	for _, many := range []HomeInput{in, crowdedHome()} {
		blocks := Home(many)
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
func crowdedHome() (in HomeInput) {
	states := runbook.States()
	for i := range 200 {
		in.Targets = append(in.Targets, HomeTarget{nasty(i), SeenVerdict{runbook.Finding{ID: runbook.VerdictID(nasty(i)), Summary: nasty(i)}, noon}, false})
		r := inState(states[i%len(states)])
		r.Target, r.Outcome, r.Ticket = nasty(i), nasty(i), nasty(i)
		in.Runs = append(in.Runs, LinkedRun{r, "https://northwind.slack.com/archives/C0BRIDGE/p1771038000000100"})
	}
	return in
}
