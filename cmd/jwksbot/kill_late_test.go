package main

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"jwksbot/bot/slacksim"
	"jwksbot/cmd/jwksbot/bottest"
	"jwksbot/runbook"
	"jwksbot/runbook/cache/redistest"
	"jwksbot/runbook/drill"
)

// extraEntries lie beside the authoriser's own: enough for several batches of a
// restore.
const extraEntries = 300

// TestKilledInLaterStates kills the real binary with SIGKILL in every state that
// follows a flush, each time when the effect has happened and the program has
// not heard of it, and while one of two approvals is there: one run goes through
// all of it, and its undo after it.
func TestKilledInLaterStates(t *testing.T) {
	t.Parallel()
	redistest.Need(t, "redis-server", "redis-cli")
	server := redistest.Start(t, redistest.Options{})
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { client.Close() })
	proxy := bottest.StartProxy(t, server.Addr)
	k := newKilledBot(t, killedBotOptions{Options: drill.Options{Scenario: "gateway-results", RedisAddr: server.Addr}, watch: 15 * time.Minute, edit: []string{
		"replication_group: " + drill.ReplicationGroup + ", auth: none", fmt.Sprintf("url: %q", "redis://"+proxy.Addr),
		"required: 1", "required: 2"}})
	const old = `{"keys":[` + oneKey + `]}`
	for i := range extraEntries {
		if err := client.Set(t.Context(), bottest.EntryName(i), old, time.Hour).Err(); err != nil {
			t.Fatal(err)
		}
	}
	k.start()
	refill := func() {
		client.Set(t.Context(), bottest.EntryName(0), bottest.Fetch(t, k.st.drill.JWKSURL()), time.Hour)
	}
	card, run := k.everythingIsDone(refill)
	k.undone(card, run, client, proxy, old)
	for _, state := range runbook.States() {
		if !state.Ended() && !slices.Contains(bottest.FlushStates, state) && !slices.Contains(k.states, state) {
			t.Errorf("no test kills the real binary in %q", state)
		}
	}
}

// everythingIsDone sees a flush, a restart and a gateway flush through to the
// end of the watch. Once the old entries are gone one of them is refilled.
func (k *killedBot) everythingIsDone(refill func()) (card slacksim.Message, run string) {
	k.command("/jwks-flush production --restart --gateway INC-2026-0214-001 keys rotated at 02:40")
	card, run = k.asked()
	k.press("U0LEAD", card, "approve")
	k.stands(run, "the first approval", func(r runbook.Run) bool { return len(r.Approvals()) == 1 })
	k.dies(run, runbook.StatePending)
	variables := k.st.drill.Variables()

	k.diesAt("PUT configuration", run, runbook.StateRestart, func() {
		k.press("U0LEAD2", card, "approve")
		k.stands(run, "the flush", func(r runbook.Run) bool { return r.State == runbook.StateVerify })
		refill()
	})
	k.diesAt("DELETE authorizers", run, runbook.StateGateway, nil)
	k.diesAt("GET orders", run, runbook.StateConfirm, nil)
	k.start()
	k.stands(run, "the watch", func(r runbook.Run) bool { return r.State == runbook.StateWatch && r.Watch != nil })
	k.dies(run, runbook.StateWatch)
	k.start()
	k.gate.keepBack("trigger") // a call comes now or after the kill
	k.press("U0ONCALL", card, "next_escalate")
	k.fill(map[string]any{"reason": "users still call"})
	k.stands(run, "the call in the thread", func(r runbook.Run) bool { return r.State == runbook.StateEscalate })
	k.dies(run, runbook.StateEscalate)
	k.diesAt("trigger", run, runbook.StateEscalate, nil)
	k.diesAt("Publish", run, runbook.StateEscalate, nil)
	k.start()
	k.press("U0ONCALL", card, "stop_watch")
	k.fill(map[string]any{"stop_reason": "the users are back"})
	k.ends(card, "done")

	k.once(run, "request", "effect flush-cache", "effect restart-authoriser", "effect flush-gateway", "confirmed", "escalate", "effect page", "effect publish", "stop_watch")
	if n := k.trail(run)["approve"]; n != 2 {
		k.Errorf("%d approvals in the trail, want 2", n)
	}
	if n := k.gate.succeeded("PUT configuration"); n != 1 {
		k.Errorf("the function was updated %d times", n)
	}
	if now := k.st.drill.Variables(); fmt.Sprint(now) != fmt.Sprint(variables) {
		k.Errorf("its variables were %v and are %v", variables, now)
	}
	// What the gateway remembers may be emptied twice: that is the same.
	if n := k.st.drill.Remembered(); n != 0 {
		k.Errorf("the gateway remembers %d denials", n)
	}
	// A page may be sent again: it has the key of the one incident.
	if got := k.st.drill.Incidents(); len(got) != 1 {
		k.Errorf("incidents %+v", got)
	}
	if got := k.st.drill.Notices(); len(got) != 1 {
		k.Errorf("notices %+v", got)
	}
	return card, run
}

// undone undoes the run and is killed when some of the entries are written back.
// Newer ones that come meanwhile stay, written back already or not.
func (k *killedBot) undone(done slacksim.Message, of string, client *redis.Client, proxy *bottest.Proxy, old string) {
	present := func() int {
		var names []string
		for i := 1; i < extraEntries; i++ {
			names = append(names, bottest.EntryName(i))
		}
		n, _ := client.Exists(context.Background(), names...).Result()
		return int(n)
	}
	if n := present(); n != 0 {
		k.Fatalf("%d old entries are left", n)
	}
	k.press("U0ONCALL", done, "next_undo")
	k.fill(map[string]any{"reason": "the old keys are needed after all"})
	card, run := k.asked(done)
	held := proxy.HoldWhile(func() bool {
		r, err := k.journal.Run(context.Background(), run)
		return err == nil && r.State == runbook.StateRestore && present() > 0
	})
	k.press("U0LEAD", card, "approve")
	k.press("U0LEAD2", card, "approve")
	bottest.Await(k.T, "the restore to be held", held)
	some := present()
	k.dies(run, runbook.StateRestore)
	proxy.Release()
	proxy.DropAll()
	if some == extraEntries-1 {
		k.Fatal("everything was written back before it could be killed: the test proved nothing")
	}
	const newer = `{"keys":[]}`
	client.Set(k.Context(), bottest.EntryName(1), newer, time.Hour)
	client.Set(k.Context(), bottest.EntryName(extraEntries-1), newer, time.Hour)
	k.start()
	k.ends(card, "done")
	k.once(run, "request", "effect restore")
	for i := 1; i < extraEntries; i++ {
		want := old
		if i == 1 || i == extraEntries-1 {
			want = newer
		}
		value, err := client.Get(k.Context(), bottest.EntryName(i)).Result()
		if ttl := client.PTTL(k.Context(), bottest.EntryName(i)).Val(); err != nil || value != want || ttl <= 0 || ttl > time.Hour {
			k.Fatalf("%s holds %.40q with TTL %v, %v", bottest.EntryName(i), value, ttl, err)
		}
	}
	if r := k.run(of); r.State != runbook.StateDone {
		k.Errorf("the run that was undone is %s", r.State)
	}
}
