package main

import (
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"

	"jwksbot/bot/slacksim"
	"jwksbot/cmd/jwksbot/bottest"
	"jwksbot/runbook"
	"jwksbot/runbook/drill"
)

// What an earlier build left in testdata/before: its journal, the messages of the
// channel and the entries of the cache, with a run that waits for approval, one
// that was killed in the middle of its flush, and one that is watched. That build
// made them by itself, in this test:
//
//	git worktree add /tmp/before f7a1aa6
//	(cd /tmp/before && go build -o /tmp/jwksbot-before ./cmd/jwksbot)
//	JWKSBOT_TEST_PROGRAM=/tmp/jwksbot-before go test ./cmd/jwksbot -run TestJournalOfTheBuildBefore -update
var (
	beforeJournal  = filepath.Join("testdata", "before", "journal.db.gz") // its time is when it was left
	beforeMessages = filepath.Join("testdata", "before", "messages.json")
	beforeEntries  = filepath.Join("testdata", "before", "entries.json")
)

// Key sets of the two targets that are not the drill's: both builds see the same.
const (
	beforeLive = `{"keys":[` + oneKey + `]}`
	beforeOld  = `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k0","use":"sig","x":"PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"}]}`
)

// TestJournalOfTheBuildBefore opens the journal of an earlier build. The run
// that waits is approved on its old card, the flush goes on where it was cut off,
// the watch goes on with its minutes, and each comes to its end.
func TestJournalOfTheBuildBefore(t *testing.T) {
	t.Parallel()
	if *update && os.Getenv(bottest.ProgramEnv) != "" {
		leaveBefore(t)
		return
	}
	dir := t.TempDir()
	left := unpackBefore(t, filepath.Join(dir, "journal.db"))
	clock := newSharedClock(t)
	if err := clock.jump(time.Until(left)); err != nil {
		t.Fatal(err)
	}
	b := newBefore(t, "healthy", filepath.Join(dir, "journal.db"), clock)
	b.fill()
	const rewritten = "jwks:flushing:39"
	b.cache.Set(rewritten, beforeLive)
	pending, flushing, watched := b.left("pending"), b.left("flushing"), b.left("watched")
	for _, run := range []runbook.Run{pending, flushing, watched} {
		if want := map[string]runbook.State{"pending": runbook.StatePending, "flushing": runbook.StateFlush, "watched": runbook.StateWatch}[run.Target]; run.State != want {
			t.Fatalf("%s was left in %q, want %q", run.Target, run.State, want)
		}
	}
	b.start()

	b.ends(b.card(flushing), "done")
	if got := b.entries("flushing"); len(got) != 1 || got[rewritten] != beforeLive {
		t.Errorf("the cache holds %v, want the entry that was rewritten alone", got)
	}
	b.press("U0LEAD", b.card(pending), "approve")
	b.ends(b.card(pending), "done")
	if got := b.entries("pending"); len(got) != 0 {
		t.Errorf("old entries are left: %v", got)
	}
	b.pass(watched.ID, "the end", ended)
	b.ends(b.card(watched), "done")
	b.everyMinute(watched.ID)
	points := b.run(watched.ID).Watch.Points
	if old := watched.Watch.Points; len(points) != 15 || len(old) == 0 || !points[0].At.Equal(old[0].At) {
		t.Errorf("the watch has %d minutes from %v on; it was left with %+v", len(points), points[0].At, old)
	}
	for _, run := range []runbook.Run{pending, flushing, watched} {
		b.once(run.ID, "request", "approve", "effect flush-cache")
	}
}

// before is a bot in the world in which the earlier build left its journal.
type before struct {
	*killedBot
	cache *miniredis.Miniredis
}

func newBefore(t *testing.T, scenario, journal string, clock *sharedClock) *before {
	t.Helper()
	b := &before{killedBot: &killedBot{clock: clock}, cache: miniredis.RunT(t)}
	o := drill.Options{Scenario: scenario, RedisAddr: b.cache.Addr(), RequestsPerMinute: 40}
	if clock != nil {
		o.Clock = clock
	}
	b.Place = bottest.NewPlace(t, o)
	b.teller = teller{t, &stage{drill: b.World, sim: b.Sim, url: b.Slack}}
	if clock != nil {
		b.Env = append(b.Env, sharedClockEnv+"="+clock.file)
	}
	b.journal = openJournal(t, journal)
	keySet := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, beforeLive) }))
	t.Cleanup(keySet.Close)
	live := fmt.Sprintf("region: %s\n    jwks_url: %q\n    issuer: https://idp.example", drill.Region, keySet.URL)
	staged := fmt.Sprintf("region: %s\n    jwks_url: %q\n    issuer: %q\n    authoriser: {function: %s, log_group: %s, success_pattern: %s}",
		drill.Region, b.World.JWKSURL(), b.World.Issuer(), drill.Function, drill.LogGroup, drill.SuccessPattern)
	text := fmt.Sprintf("journal: %q\nlisten: \"\"\ntargets:\n", journal)
	for _, target := range [][4]string{{"pending", live, "jwks:pending:*", "0s"}, {"flushing", live, "jwks:flushing:*", "0s"}, {"watched", staged, b.World.KeyName(), "15m"}} {
		text += fmt.Sprintf(`  - name: %s
    %s
    channel: inc-bridge
    cache: {replication_group: %s, auth: none, keys: [%q]}
    approval: {requesters: [S0ONCALL], approvers: [S0LEADS], cooldown: 0s}
    watch: {for: %s}
`, target[0], target[1], drill.ReplicationGroup, target[2], target[3])
	}
	b.Write(t, text)
	return b
}

// stale puts the old keys under the names of a target's entries.
func (b *before) stale(target string, n int) {
	for i := range n {
		b.cache.Set(fmt.Sprintf("jwks:%s:%d", target, i), beforeOld)
	}
}

// entries are those of a target.
func (b *before) entries(target string) map[string]string {
	b.Helper()
	found := map[string]string{}
	for _, name := range b.cache.Keys() {
		if strings.HasPrefix(name, "jwks:"+target+":") {
			value, err := b.cache.Get(name)
			if err != nil {
				b.Fatal(err)
			}
			found[name] = value
		}
	}
	return found
}

// left is the one run of a target.
func (b *before) left(target string) runbook.Run {
	b.Helper()
	runs, err := b.journal.Runs(b.Context(), runbook.Filter{Target: target})
	if err != nil || len(runs) != 1 {
		b.Fatalf("%d runs of %s, %v", len(runs), target, err)
	}
	return b.run(runs[0].ID)
}

// card is the message of a run.
func (b *before) card(run runbook.Run) slacksim.Message {
	return slacksim.Message{Channel: run.Post.Channel, TS: run.Post.TS}
}

// fill puts the entries and the messages in place that the earlier build left.
func (b *before) fill() {
	b.Helper()
	var entries map[string]string
	readJSON(b.T, beforeEntries, &entries)
	for name, value := range entries {
		b.cache.Set(name, value)
	}
	var messages []slacksim.Message
	readJSON(b.T, beforeMessages, &messages)
	for _, m := range messages {
		b.Sim.Keep(m)
	}
}

func readJSON(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// unpackBefore writes the journal to a file, and tells when it was left.
func unpackBefore(t *testing.T, file string) (left time.Time) {
	t.Helper()
	in, err := os.Open(beforeJournal)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	packed, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	db, err := io.ReadAll(packed)
	if err == nil {
		err = os.WriteFile(file, db, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return packed.ModTime
}

// leaveBefore lets the program that is named make its three runs, and kills it.
func leaveBefore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "journal.db")
	b := newBefore(t, "stale", file, nil)
	b.stale("pending", 3)
	b.stale("flushing", 40)
	b.start()
	asked := func(target string, known ...slacksim.Message) (slacksim.Message, string) {
		b.command("/jwks-flush " + target + " INC-2026-0214-001 keys rotated at 02:40")
		return b.asked(known...)
	}
	first, _ := asked("pending")
	second, watched := asked("watched", first)
	b.press("U0LEAD", second, "approve")
	b.stands(watched, "a watch", func(r runbook.Run) bool { return r.Watch != nil })
	for len(b.run(watched).Watch.Points) < 1 { // in real time
		bottest.Pause(t.Context(), time.Second)
	}
	third, flushing := asked("flushing", first, second)
	held := b.holdFlush(t, flushing)
	b.press("U0LEAD", third, "approve")
	bottest.Await(t, "the flush to be held", held)
	b.dies(flushing, runbook.StateFlush)
	if n := len(b.entries("flushing")); n == 0 || n == 40 {
		t.Fatalf("%d of 40 entries are left", n)
	}
	b.save(t, file)
}

// holdFlush lets some entries of a run be deleted, and holds up the others until
// the test ends.
func (b *before) holdFlush(t *testing.T, run string) <-chan struct{} {
	held, free := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(free) })
	var deleted atomic.Int32
	b.cache.Server().SetPreHook(func(_ *server.Peer, cmd string, _ ...string) bool {
		if cmd != "EVALSHA" {
			return false
		}
		if r, err := b.journal.Run(context.Background(), run); err != nil || r.State != runbook.StateFlush {
			return false
		}
		if deleted.Add(1) == 20 {
			close(held)
			<-free
		}
		return false
	})
	return held
}

// save writes what the program left, without the name of the machine.
func (b *before) save(t *testing.T, file string) {
	left, whole := time.Now(), file+".whole"
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{`UPDATE holder SET name = 'an earlier build'`, `VACUUM INTO '` + whole + `'`} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	var packed strings.Builder
	to := gzip.NewWriter(&packed)
	to.ModTime = left
	if _, err := to.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	entries := b.entries("pending")
	maps.Copy(entries, b.entries("flushing"))
	writeFile(t, beforeJournal, []byte(packed.String()))
	writeFile(t, beforeMessages, indented(t, b.Sim.Messages("C0BRIDGE")))
	writeFile(t, beforeEntries, indented(t, entries))
}

func indented(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

func writeFile(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, text, 0o644); err != nil {
		t.Fatal(err)
	}
}
