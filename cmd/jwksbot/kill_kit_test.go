package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jwksbot/bot/slacksim"
	"jwksbot/runbook"
	"jwksbot/runbook/drill"
	"jwksbot/runbook/journal"
)

// startServe starts a program that serves, and waits until it is connected to
// the workspace. kill ends it with SIGKILL.
func startServe(t *testing.T, sim *slacksim.Sim, cmd *exec.Cmd) (kill func()) {
	t.Helper()
	before := len(sim.Calls("apps.connections.open"))
	var log lockedBuffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	kill = func() {
		cmd.Process.Kill()
		<-ended
	}
	t.Cleanup(func() {
		kill()
		if t.Failed() {
			t.Logf("the program said:\n%s", log.String())
		}
	})
	poll(t, func() bool {
		select {
		case <-ended:
			t.Fatal("the program ended before it was connected")
		default:
		}
		return len(sim.Calls("apps.connections.open")) > before && len(sim.Connections()) > 0
	}, func() string { return "the program to connect" })
	return kill
}

// victim is the program in a process of its own, in a drill that has everything
// that a run can touch, and is killed at moments that the test chooses.
type victim struct {
	teller
	gate    *heldGate
	clock   *sharedClock // nil: real time
	journal *journal.Journal
	argv    []string
	env     []string
	kill    func()          // nil: it is dead
	states  []runbook.State // of its runs when it was killed
}

// victimOptions say in what the program is killed.
type victimOptions struct {
	drill.Options
	clock   *sharedClock // nil: real time
	watch   time.Duration
	journal string   // URL; "": a file
	edit    []string // of the configuration: old, new, old, new
}

func newVictim(t *testing.T, o victimOptions) *victim {
	t.Helper()
	dir := t.TempDir()
	v := &victim{teller: teller{t, &stage{}}, gate: &heldGate{}, clock: o.clock}
	if o.clock != nil {
		o.Clock = o.clock
	}
	if o.journal == "" {
		o.journal = filepath.Join(dir, "journal.db")
	}
	var err error
	if v.st.drill, err = drill.Start(t.Context(), o.Options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.st.drill.Close() })
	v.st.sim = slacksim.New(slacksim.Options{Limits: slacksim.LimitsOff})
	if v.st.url, err = v.st.sim.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.st.sim.Close() })
	if v.journal, err = journal.Open(t.Context(), journal.Settings{URL: o.journal}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.journal.Close(context.Background()) })

	outside := strings.TrimSuffix(v.st.drill.PagerDutyURL(), "/pagerduty")
	edit := append(o.edit, outside, v.gate.before(t, outside))
	text := strings.NewReplacer(edit...).Replace(demoText(v.st.drill, o.journal, o.watch))
	config := filepath.Join(dir, "jwksbot.yaml")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	v.env = append(os.Environ(), "SLACK_API_URL="+v.st.url+"/api/", "AWS_ENDPOINT_URL="+v.gate.before(t, v.st.drill.AWSEndpoint()),
		"AWS_ACCESS_KEY_ID=AKIADRILLDRILLDRILL0", "AWS_SECRET_ACCESS_KEY=drill", "AWS_REGION="+drill.Region)
	file := timedProgram
	if o.clock != nil {
		v.env = append(v.env, sharedClockEnv+"="+o.clock.file)
	} else if file, err = program(); err != nil {
		t.Fatal(err)
	}
	v.argv = []string{file, "serve", "--config", config}
	return v
}

// start runs the program until it is killed.
func (v *victim) start() {
	v.Helper()
	cmd := exec.Command(v.argv[0], v.argv[1:]...)
	cmd.Env = v.env
	v.kill = startServe(v.T, v.st.sim, cmd)
}

// dies kills the program while the run is in a state.
func (v *victim) dies(run string, in runbook.State) {
	v.Helper()
	v.kill()
	v.kill = nil
	if got := v.run(run).State; got != in {
		v.Fatalf("killed in %q, not in %q", got, in)
	}
	v.states = append(v.states, in)
}

// diesAt kills the program when it has called something for the run and that has
// happened, before it is told so. do makes it call, nil if it does by itself. A
// program that is dead is started first, but not before its call is waited for.
func (v *victim) diesAt(call, run string, in runbook.State, do func()) {
	v.Helper()
	held := v.gate.keepBack(call)
	if v.kill == nil {
		v.start()
	}
	if do != nil {
		do()
	}
	await(v.T, "the answer to "+call+" to be kept back", held)
	v.dies(run, in)
}

func (v *victim) run(id string) runbook.Run {
	v.Helper()
	run, err := v.journal.Run(v.Context(), id)
	if err != nil {
		v.Fatal(err)
	}
	return run
}

// stands waits until the run is so, and its message and all that belongs to it
// are on record: a kill between a post and its record leaves a second post,
// since Slack tells nobody without the right to read a channel's history
// whether a post arrived.
func (v *victim) stands(run, what string, so func(runbook.Run) bool) {
	v.Helper()
	poll(v.T, func() bool {
		r := v.run(run)
		return so(r) && r.Post.TS != "" && (r.Escalation == nil || r.Escalation.Pinged != "")
	}, func() string { return fmt.Sprintf("%s: %+v", what, v.run(run)) })
}

// asked is the run of the message that a request has led to.
func (v *victim) asked(known ...slacksim.Message) (card slacksim.Message, run string) {
	v.Helper()
	card = v.card(known...)
	run, _ = card.Metadata.Payload["run_id"].(string)
	v.stands(run, "the card on record", func(runbook.Run) bool { return true })
	return card, run
}

// trail counts the rows of a run by kind, and effects by kind and step.
func (v *victim) trail(run string) map[string]int {
	v.Helper()
	rows := map[string]int{}
	for row, err := range v.journal.AuditRows(v.Context(), journal.AuditFilter{Run: run}) {
		if err != nil {
			v.Fatal(err)
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
func (v *victim) once(run string, kinds ...string) {
	v.Helper()
	rows := v.trail(run)
	for _, kind := range kinds {
		if rows[kind] != 1 {
			v.Errorf("%d rows of %q in the trail, want 1: %v", rows[kind], kind, rows)
		}
	}
	r := v.run(run)
	steps := map[string]int{}
	for _, receipt := range r.Receipts {
		if steps[receipt.Step]++; steps[receipt.Step] > 1 {
			v.Errorf("two receipts of %s", receipt.Step)
		}
	}
	messages := 0
	for _, m := range v.st.sim.Messages("C0BRIDGE") {
		if !m.InThread() && m.Metadata != nil && m.Metadata.Payload["run_id"] == run {
			messages++
		}
	}
	m, _ := v.st.sim.Message(r.Post.Channel, r.Post.TS)
	if messages != 1 || m.Metadata.Payload["state"] != string(r.State) {
		v.Errorf("the run has %d messages, and shows %v; it is %s", messages, m.Metadata, r.State)
	}
	if _, err := v.journal.VerifyAudit(v.Context()); err != nil {
		v.Error(err)
	}
}
