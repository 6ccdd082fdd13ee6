package render

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/slack-go/slack"

	"jwksbot/bot/slacksim"
	"jwksbot/runbook"
)

// Every message, the worst ones too, goes over the wire to a workspace that
// refuses what Slack refuses, and mentions nobody but the people of the run.
func TestWorkspaceTakesEveryMessage(t *testing.T) {
	sim := slacksim.New(slacksim.Options{Limits: slacksim.LimitsOff})
	base, err := sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	api := slack.New("xoxb-demo-bot", slack.OptionAPIURL(base+"/api/"))
	var all []Message
	for _, e := range situations() {
		r := reportOf(t, e)
		all = append(all, Report(r))
		all = append(all, Evidence(r)...)
	}
	for _, s := range runbook.States() {
		r := inState(s)
		all = append(all, Run(r, noon))
		all = append(all, RunThread(r)...)
		r.Reason, r.Outcome, r.Override = monstrous[0], monstrous[3], monstrous[1]
		if len(r.Plan.Entries) > 0 {
			r.Plan.Entries[0].Name = runbook.EntryName(monstrous[0])
		}
		all = append(all, Run(r, noon))
	}
	for i, m := range all {
		if _, _, err := api.PostMessage("C0BRIDGE", slack.MsgOptionText(m.Text, false), slack.MsgOptionBlocks(m.Blocks...), slack.MsgOptionMetadata(m.Metadata)); err != nil {
			t.Errorf("message %d: %v\n%s", i, err, asJSON(t, m.Blocks))
		}
	}
	for _, who := range sim.Mentions("C0BRIDGE") {
		if who.Kind != "user" || !slices.Contains([]string{robin.ID, sam.ID}, who.ID) {
			t.Errorf("a message mentioned %s %q", who.Kind, who.ID)
		}
	}
}

// The goldens are what Slack's client sends: they must read back as blocks.
func TestGoldensAreBlocks(t *testing.T) {
	paths, err := filepath.Glob("testdata/*/*.json")
	if err != nil || len(paths) < 20 {
		t.Fatalf("%d goldens, %v", len(paths), err)
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var m struct{ Blocks slack.Blocks }
		if err := json.Unmarshal(raw, &m); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		for _, b := range m.Blocks.BlockSet {
			if _, unknown := b.(*slack.UnknownBlock); unknown {
				t.Errorf("%s: %s", path, fmt.Sprint(b.BlockType()))
			}
		}
	}
}
