package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"jwksbot/bot/slacksim"
	"jwksbot/runbook"
	"jwksbot/runbook/cache/redistest"
	"jwksbot/runbook/drill"
	"jwksbot/runbook/journal"
)

// full says that the tests which kill the program run at their full length, as
// .ci/run has them: go test ./... alone shall not take minutes.
func full() bool { return os.Getenv("JWKSBOT_FULL") == "1" }

// programEnv names the binary to a test that is run again as a child.
const programEnv = "JWKSBOT_TEST_PROGRAM"

// program builds the real binary once for all tests that start it.
var program = sync.OnceValues(func() (string, error) {
	if file := os.Getenv(programEnv); file != "" {
		return file, nil
	}
	dir, err := os.MkdirTemp("", "jwksbot-test-")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "jwksbot")
	out, err := exec.Command("go", "build", "-o", file, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return file, nil
})

// staleEntries is how many old entries lie in the cache: enough for several
// batches of the flush, below the limit of a snapshot.
const staleEntries = 4000

// flushStates are the states of a run that only flushes;
// [TestKilledInLaterStates] has the others.
var flushStates = []runbook.State{runbook.StatePending, runbook.StateApproved, runbook.StateSnapshot, runbook.StateFlush, runbook.StateVerify}

// TestKilledInEveryState kills the real binary with SIGKILL in every state of a
// flush, also in the middle of it, while another client keeps writing fresh
// keys, and starts it again: the run ends once, its message shows the end,
// nothing that was written fresh is ever deleted, and no approval is lost. The
// short form kills it before the decision and in the middle of the flush.
func TestKilledInEveryState(t *testing.T) {
	t.Parallel()
	redistest.Need(t, "redis-server", "redis-cli")
	w := newKillWorld(t)
	states := flushStates
	if !full() {
		states = []runbook.State{runbook.StatePending, runbook.StateFlush}
	}
	for _, state := range states {
		t.Run(string(state), func(t *testing.T) { w.killIn(t, state) })
	}
}

type killWorld struct {
	dir     string
	redis   *redis.Client
	proxy   *heldProxy
	drill   *drill.World
	sim     *slacksim.Sim
	journal *journal.Journal
	old     []byte // the old key set, as the cache holds it
	fresh   []byte // the live one
	env     []string
}

func newKillWorld(t *testing.T) *killWorld {
	server := redistest.Start(t, redistest.Options{})
	w := &killWorld{dir: t.TempDir(), redis: redis.NewClient(&redis.Options{Addr: server.Addr})}
	t.Cleanup(func() { w.redis.Close() })
	var err error
	if w.drill, err = drill.Start(t.Context(), drill.Options{RedisAddr: server.Addr}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.drill.Close() })
	w.old = []byte(w.redis.Get(t.Context(), w.drill.KeyName()).Val())
	w.fresh = fetch(t, w.drill.JWKSURL())
	if len(w.old) == 0 || bytes.Equal(w.old, w.fresh) {
		t.Fatal("the drill's cache is not stale")
	}
	w.proxy = startHeldProxy(t, server.Addr)
	w.sim = slacksim.New(slacksim.Options{Limits: slacksim.LimitsOff})
	url, err := w.sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.sim.Close() })
	w.writeConfig(t, url)
	w.journal, err = journal.Open(t.Context(), journal.Settings{URL: filepath.Join(w.dir, "journal.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.journal.Close(context.Background()) })
	return w
}

func (w *killWorld) writeConfig(t *testing.T, slackURL string) {
	text := fmt.Sprintf(`
journal: %q
listen: ""
targets:
  - name: production
    region: %s
    jwks_url: %q
    issuer: %q
    channel: inc-bridge
    cache: {url: "redis://%s", keys: ["jwks:*"]}
    approval: {requesters: [S0ONCALL], approvers: [S0LEADS], cooldown: 0s}
    watch: {for: 0s}
`, filepath.Join(w.dir, "journal.db"), drill.Region, w.drill.JWKSURL(), w.drill.Issuer(), w.proxy.addr)
	if err := os.WriteFile(filepath.Join(w.dir, "jwksbot.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w.env = append(os.Environ(), "SLACK_BOT_TOKEN=xoxb-demo-bot", "SLACK_APP_TOKEN=xapp-demo-app", "SLACK_API_URL="+slackURL+"/api/",
		"AWS_ENDPOINT_URL="+w.drill.AWSEndpoint(), "AWS_ACCESS_KEY_ID=AKIADRILLDRILLDRILL0", "AWS_SECRET_ACCESS_KEY=drill", "AWS_REGION="+drill.Region)
}

// start runs the real binary until the returned function kills it.
func (w *killWorld) start(t *testing.T) (kill func()) {
	file, err := program()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(file, "serve", "--config", filepath.Join(w.dir, "jwksbot.yaml"))
	cmd.Env = w.env
	end := startServe(t, w.sim, cmd)
	return func() {
		end()
		w.proxy.dropAll()
	}
}

func (w *killWorld) killIn(t *testing.T, state runbook.State) {
	w.fill(t)
	written := w.refill(t)
	kill := w.start(t)
	known := map[string]bool{}
	for _, r := range w.runs(t) {
		known[r.ID] = true
	}
	if d := w.sim.Command("U0ONCALL", "C0BRIDGE", "/jwks-flush production INC-2026-0214-001 killed in "+string(state)); d.Err != nil {
		t.Fatal(d.Err)
	}
	card := w.awaitCard(t, known)
	run := card.Metadata.Payload["run_id"].(string)
	w.recorded(t, run)
	held := w.proxy.holdWhile(func() bool { return w.reached(run, state) })
	if state != runbook.StatePending {
		if d := w.sim.Click("U0LEAD", card.Channel, card.TS, "approve"); d.Err != nil {
			t.Fatal(d.Err)
		}
		await(t, "the run to be held in "+string(state), held)
	}
	kill()
	w.proxy.release()
	if got := w.run(t, run).State; got != state {
		t.Fatalf("killed in %q, not in %q", got, state)
	}
	w.start(t)
	if state == runbook.StatePending {
		if d := w.sim.Click("U0LEAD", card.Channel, card.TS, "approve"); d.Err != nil {
			t.Fatal(d.Err)
		}
	}
	until(t, w.sim, "the message to show the end", func(s *slacksim.Sim) bool {
		m, ok := s.Message(card.Channel, card.TS)
		return ok && m.Metadata != nil && m.Metadata.Payload["state"] == string(runbook.StateDone)
	})
	w.judge(t, run, written())
}

// reached says that the run stands in the state, and in the flush, that some
// entries are deleted and others are not.
func (w *killWorld) reached(id string, state runbook.State) bool {
	run, err := w.journal.Run(context.Background(), id)
	if err != nil || run.State != state {
		return false
	}
	if state != runbook.StateFlush {
		return true
	}
	fates, err := w.journal.Fates(context.Background(), id)
	deleted := 0
	for _, f := range fates {
		if f.Fate == runbook.FateDeleted {
			deleted++
		}
	}
	return err == nil && deleted > 0 && deleted < staleEntries/2
}

// judge holds the end against what was promised.
func (w *killWorld) judge(t *testing.T, id string, written map[string]bool) {
	run := w.run(t, id)
	steps := map[string]int{}
	for _, r := range run.Receipts {
		steps[r.Step]++
	}
	if steps["snapshot"] != 1 || steps["flush-cache"] != 1 || steps["verify"] != 1 {
		t.Errorf("each step ends once, got %v", steps)
	}
	effects := 0
	for row, err := range w.journal.AuditRows(t.Context(), journal.AuditFilter{Run: id}) {
		if err != nil {
			t.Fatal(err)
		}
		if row.Kind == "effect" {
			effects++
		}
	}
	if effects != 1 {
		t.Errorf("%d audit rows of the effect, want 1", effects)
	}
	if len(written) == 0 {
		t.Fatal("the other client wrote nothing: the test proved nothing")
	}
	lost, left := 0, 0
	for i := range staleEntries {
		name := entryName(i)
		value, err := w.redis.Get(t.Context(), name).Bytes()
		if written[name] && err != nil {
			lost++
		}
		if bytes.Equal(value, w.old) {
			left++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d freshly written entries were deleted", lost, len(written))
	}
	if left > 0 {
		t.Errorf("%d old entries are left", left)
	}
	messages := 0
	for _, m := range w.sim.Messages("C0BRIDGE") {
		if !m.InThread() && m.Metadata != nil && m.Metadata.Payload["run_id"] == id {
			messages++
		}
	}
	if messages != 1 {
		t.Errorf("the run has %d messages, want 1", messages)
	}
}

func entryName(i int) string { return fmt.Sprintf("jwks:tenant:%d", i) }

// fill puts the old key set under every name.
func (w *killWorld) fill(t *testing.T) {
	pipe := w.redis.Pipeline()
	for i := range staleEntries {
		pipe.Set(t.Context(), entryName(i), w.old, time.Hour)
	}
	pipe.Set(t.Context(), w.drill.KeyName(), w.old, time.Hour)
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// refill is the other client: it writes the live key set under one name after
// the other until the returned function stops it and tells which it wrote.
func (w *killWorld) refill(t *testing.T) (stop func() map[string]bool) {
	ctx, cancel := context.WithCancel(context.Background())
	written := map[string]bool{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		pace := time.NewTicker(40 * time.Millisecond) // slow enough to leave work for the flush
		defer pace.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-pace.C:
			}
			name := entryName((i * 37) % staleEntries)
			if w.redis.Set(ctx, name, w.fresh, time.Hour).Err() == nil {
				written[name] = true
			}
		}
	}()
	stop = func() map[string]bool {
		cancel()
		<-done
		return written
	}
	t.Cleanup(func() { stop() })
	return stop
}

func (w *killWorld) awaitCard(t *testing.T, known map[string]bool) slacksim.Message {
	var card slacksim.Message
	until(t, w.sim, "the approval card", func(s *slacksim.Sim) bool {
		for _, m := range s.Messages("C0BRIDGE") {
			if m.Metadata == nil || m.Metadata.EventType != "jwksbot_approval" || m.InThread() {
				continue
			}
			id, _ := m.Metadata.Payload["run_id"].(string)
			if id != "" && !known[id] {
				card = m
				return true
			}
		}
		return false
	})
	return card
}

// recorded waits until the journal knows where the card stands. A kill between
// the post and this record leaves a second message, since Slack tells nobody
// without the right to read a channel's history whether a post arrived.
func (w *killWorld) recorded(t *testing.T, id string) {
	woken := time.NewTicker(5 * time.Millisecond)
	defer woken.Stop()
	for deadline := bounded(t, 30*time.Second); w.run(t, id).Post.TS == ""; {
		select {
		case <-woken.C:
		case <-deadline.Done():
			t.Fatal("the journal never learnt where the card stands")
		}
	}
}

func (w *killWorld) runs(t *testing.T) []runbook.Run {
	runs, err := w.journal.Runs(t.Context(), runbook.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

func (w *killWorld) run(t *testing.T, id string) runbook.Run {
	run, err := w.journal.Run(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func await(t *testing.T, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-bounded(t, 60*time.Second).Done():
		t.Fatalf("waited for %s", what)
	}
}

// lockedBuffer collects what a child process prints.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(l.b.String())
}

// compactJSON writes a document as an authoriser that caches it would.
func compactJSON(t testing.TB, b []byte) []byte {
	var out bytes.Buffer
	if err := json.Compact(&out, b); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
