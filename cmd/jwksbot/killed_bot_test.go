package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jwksbot/bot/slacksim"
	"jwksbot/cmd/jwksbot/bottest"
	"jwksbot/runbook"
	"jwksbot/runbook/drill"
	"jwksbot/runbook/journal"
)

// killedBot is the program in a process of its own, in a drill that has everything
// that a run can touch, and is killed at moments that the test chooses.
type killedBot struct {
	teller
	*bottest.Place
	gate    *heldGate
	clock   *sharedClock // nil: real time
	journal *journal.Journal
	bot     *bottest.Process // nil: it is dead
	states  []runbook.State  // of its runs when it was killed
}

// killedBotOptions say in what the program is killed.
type killedBotOptions struct {
	drill.Options
	clock   *sharedClock // nil: real time
	watch   time.Duration
	journal string   // URL; "": a file
	edit    []string // of the configuration: old, new, old, new
}

func newKilledBot(t *testing.T, o killedBotOptions) *killedBot {
	t.Helper()
	k := &killedBot{gate: &heldGate{}, clock: o.clock}
	if o.clock != nil {
		o.Clock = o.clock
	}
	k.Place = bottest.NewPlace(t, o.Options)
	k.teller = teller{t, &stage{drill: k.World, sim: k.Sim, url: k.Slack}}
	if o.journal == "" {
		o.journal = filepath.Join(k.Dir, "journal.db")
	}
	k.journal = openJournal(t, o.journal)
	outside := strings.TrimSuffix(k.World.PagerDutyURL(), "/pagerduty")
	edit := append(o.edit, outside, k.gate.before(t, outside))
	k.Write(t, strings.NewReplacer(edit...).Replace(demoText(k.World, o.journal, o.watch)))
	k.Env = append(k.Env, "AWS_ENDPOINT_URL="+k.gate.before(t, k.World.AWSEndpoint()))
	if o.clock != nil {
		k.Env = append(k.Env, sharedClockEnv+"="+o.clock.file)
	}
	return k
}

// start runs the program until it is killed.
func (k *killedBot) start() {
	k.Helper()
	k.bot = k.Connected(k.T, func() *bottest.Process {
		if k.clock == nil {
			return k.Serve(k.T)
		}
		cmd := exec.Command(timedProgram, "serve", "--config", k.Config())
		cmd.Env = k.Env
		return bottest.Start(k.T, cmd)
	})
}

// dies kills the program while the run is in a state.
func (k *killedBot) dies(run string, in runbook.State) {
	k.Helper()
	k.bot.Kill()
	k.bot = nil
	if got := k.run(run).State; got != in {
		k.Fatalf("killed in %q, not in %q", got, in)
	}
	k.states = append(k.states, in)
}

// diesAt kills the program when it has called something for the run and that has
// happened, before it is told so. do makes it call, nil if it does by itself. A
// program that is dead is started first, but not before its call is waited for.
func (k *killedBot) diesAt(call, run string, in runbook.State, do func()) {
	k.Helper()
	held := k.gate.keepBack(call)
	if k.bot == nil {
		k.start()
	}
	if do != nil {
		do()
	}
	bottest.Await(k.T, "the answer to "+call+" to be kept back", held)
	k.dies(run, in)
}

func (k *killedBot) run(id string) runbook.Run {
	k.Helper()
	run, err := k.journal.Run(k.Context(), id)
	if err != nil {
		k.Fatal(err)
	}
	return run
}

// stands waits until the run is so, and its message and all that belongs to it
// are on record: a kill between a post and its record leaves a second post,
// since Slack tells nobody without the right to read a channel's history
// whether a post arrived.
func (k *killedBot) stands(run, what string, so func(runbook.Run) bool) {
	k.Helper()
	bottest.Poll(k.T, func() bool {
		r := k.run(run)
		return so(r) && r.Post.TS != "" && (r.Escalation == nil || r.Escalation.Pinged != "")
	}, func() string { return fmt.Sprintf("%s: %+v", what, k.run(run)) })
}

// asked is the run of the message that a request has led to.
func (k *killedBot) asked(known ...slacksim.Message) (card slacksim.Message, run string) {
	k.Helper()
	card = k.card(known...)
	run, _ = card.Metadata.Payload["run_id"].(string)
	k.stands(run, "the card on record", func(runbook.Run) bool { return true })
	return card, run
}

// trail counts the rows of a run by kind, and effects by kind and step.
func (k *killedBot) trail(run string) map[string]int {
	k.Helper()
	rows := map[string]int{}
	for row, err := range k.journal.AuditRows(k.Context(), journal.AuditFilter{Run: run}) {
		if err != nil {
			k.Fatal(err)
		}
		what := row.Kind
		if row.Kind == "effect" {
			step, _, _ := strings.Cut(row.Detail, ":")
			what += " " + step
		}
		rows[what]++
	}
	return rows
}

// once holds that each of these is in the trail of the run once, that no step
// has two receipts, and that the run has one message, which shows its state.
func (k *killedBot) once(run string, kinds ...string) {
	k.Helper()
	rows := k.trail(run)
	for _, kind := range kinds {
		if rows[kind] != 1 {
			k.Errorf("%d rows of %q in the trail, want 1: %v", rows[kind], kind, rows)
		}
	}
	r := k.run(run)
	steps := map[string]int{}
	for _, receipt := range r.Receipts {
		if steps[receipt.Step]++; steps[receipt.Step] > 1 {
			k.Errorf("two receipts of %s", receipt.Step)
		}
	}
	messages := 0
	for _, m := range k.st.sim.Messages("C0BRIDGE") {
		if !m.InThread() && m.Metadata != nil && m.Metadata.Payload["run_id"] == run {
			messages++
		}
	}
	m, _ := k.st.sim.Message(r.Post.Channel, r.Post.TS)
	if messages != 1 || m.Metadata.Payload["state"] != string(r.State) {
		k.Errorf("the run has %d messages, and shows %v; it is %s", messages, m.Metadata, r.State)
	}
	if _, err := k.journal.VerifyAudit(k.Context()); err != nil {
		k.Error(err)
	}
}
