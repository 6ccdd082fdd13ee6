package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"jwksbot/bot/slacksim"
	"jwksbot/cmd/jwksbot/bottest"
	"jwksbot/runbook"
)

// BenchmarkWaits is everything that a person waits for in Slack, beside what
// the same takes at least on this machine in the same run: the acknowledgement
// over the WebSocket, a call of the Web API, and reading the live keys and the
// cache. BenchmarkFirstAck is the restart.
func BenchmarkWaits(b *testing.B) {
	w := newWhole(b, 10, false)
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
	defer cancel()
	w.until(ctx, b, func() bool { return len(w.sim.Connections()) > 0 })
	time.Sleep(settled + time.Second)
	took := map[string][]time.Duration{}
	for n := 0; b.Loop(); n++ {
		w.wait(ctx, b, n, func(what string, do func()) {
			start := time.Now()
			do()
			took[what] = append(took[what], time.Since(start))
		})
	}
	b.ReportMetric(0, "ns/op")
	for what, all := range took {
		slices.Sort(all)
		b.ReportMetric(milliseconds(all[len(all)/2]), "ms-"+what)
	}
}

// postsSettle is how long it takes until the bot may post without a pause again:
// Slack takes one post a second in a channel, and a few at once.
const postsSettle = 5 * time.Second

// wait goes once through all that is waited for.
func (w *whole) wait(ctx context.Context, b *testing.B, n int, timed func(what string, do func())) {
	w.fill(b)
	time.Sleep(postsSettle)
	timed("floor-ack", func() { w.command(b, "/jwks-check help") })
	timed("floor-api-call", func() { w.call(b) })
	timed("floor-reading", func() {
		bottest.Fetch(b, w.jwks)
		w.scan(b, func(names []string) { w.redis.MGet(ctx, names...) })
	})
	before := len(w.showing("verdict"))
	timed("check-to-message", func() {
		w.command(b, fmt.Sprintf("/jwks-check production since=%dm", 10+n%1000))
		w.until(ctx, b, func() bool { return len(w.showing("verdict")) > before })
	})
	timed("request-to-card", func() {
		w.command(b, "/jwks-flush production INC-2026-0214-001 measured")
		w.until(ctx, b, func() bool { return len(w.pending()) > 0 })
	})
	card := w.pending()[0]
	timed("click-to-answer", func() {
		if d := w.sim.Click("U0LEAD", card.Channel, card.TS, "approve"); !d.Acked {
			b.Fatal(d.Err)
		}
		w.until(ctx, b, func() bool { return len(w.pending()) == 0 })
	})
	w.redis.Set(ctx, bottest.EntryName(0), w.fresh, time.Hour)
	w.until(ctx, b, func() bool {
		return len(w.inState(func(s runbook.State) bool { return !s.Ended() })) == 0
	})
}

// command types a command and sees it acknowledged.
func (w *whole) command(b *testing.B, line string) {
	if d := w.sim.Command("U0ONCALL", "C0BRIDGE", line); !d.Acked {
		b.Fatal(d.Err)
	}
}

// call is a call of the Web API that does nothing.
func (w *whole) call(b *testing.B) {
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, w.slack+"/api/auth.test", strings.NewReader(""))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer xoxb-demo-bot")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		b.Fatal(resp.Status, err)
	}
}

// until waits for something in the workspace.
func (w *whole) until(ctx context.Context, b *testing.B, cond func() bool) {
	if err := w.sim.Wait(ctx, func(*slacksim.Sim) bool { return cond() }); err != nil {
		b.Fatal(err)
	}
}

// showing are the messages that carry something under a name.
func (w *whole) showing(name string) (all []slacksim.Message) {
	for _, m := range w.sim.Messages("C0BRIDGE") {
		if m.Metadata != nil && m.Metadata.Payload[name] != nil && m.Metadata.Payload[name] != "" {
			all = append(all, m)
		}
	}
	return all
}

// inState are the cards of runs in a state.
func (w *whole) inState(fits func(runbook.State) bool) (all []slacksim.Message) {
	for _, m := range w.showing("run_id") {
		if state, _ := m.Metadata.Payload["state"].(string); fits(runbook.State(state)) {
			all = append(all, m)
		}
	}
	return all
}

// pending are the cards that wait for a decision.
func (w *whole) pending() []slacksim.Message {
	return w.inState(func(s runbook.State) bool { return s == runbook.StatePending })
}

// processStart is the least that a start of the program takes.
func processStart(b *testing.B, file string) time.Duration {
	start := time.Now()
	if err := exec.Command(file, "version").Run(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}
