package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"jwksbot/bot/slacksim"
	"jwksbot/cmd/jwksbot/bottest"
	"jwksbot/runbook"
	"jwksbot/runbook/cache/redistest"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/drill"
	"jwksbot/runbook/keys/hostiletest"
)

const (
	hostileRandom, hostileCrafted = 1000, 200
	hostileSize                   = 2 << 10
	hostileLarge                  = 512 << 10 // of one more of each family
	// hugeMembers of a mebibyte each are one list that nobody can want to read.
	hugeMembers = 250
	// hostileMemory is what the bot may occupy, in MiB, and hostileDeadline what
	// a check may take: that of its steps, and a second to say so.
	hostileMemory   = 150
	hostileDeadline = 21 * time.Second
)

// fillHostile puts everything under the target's pattern: what is hostile, a
// list of 250 MiB, and one sound key set that comes last by its name.
func fillHostile(t *testing.T, addr string, sound []byte) int {
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	ctx := t.Context()
	all := append(hostiletest.Random(1, hostileRandom, hostileSize), hostiletest.Crafted(2, hostileCrafted, hostileSize)...)
	all = append(all, hostiletest.Crafted(3, len(hostiletest.Names()), hostileLarge)...)
	pipe := client.Pipeline()
	for _, e := range all {
		for _, p := range e.Parts {
			switch e.Type {
			case "hash":
				pipe.HSet(ctx, e.Name, p.Field, p.Value)
			case "set":
				pipe.SAdd(ctx, e.Name, p.Value)
			default:
				pipe.RPush(ctx, e.Name, p.Value)
			}
		}
		if e.Type == "string" {
			pipe.Set(ctx, e.Name, e.Value, time.Hour)
		}
	}
	pipe.Set(ctx, "jwks:zz-sound", sound, time.Hour)
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	for range hugeMembers {
		if err := client.RPush(ctx, "jwks:huge", strings.Repeat("x", 1<<20)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	return len(all) + 2
}

// hostilePlace is the place of a bot whose cache is full of hostile entries.
type hostilePlace struct {
	*bottest.Place
	entries int
}

func newHostilePlace(t *testing.T) *hostilePlace {
	server := redistest.Start(t, redistest.Options{})
	p := bottest.NewPlace(t, drill.Options{})
	p.Configure(t, filepath.Join(p.Dir, "journal.db"), bottest.Target{Name: "production", Redis: server.Addr})
	return &hostilePlace{p, fillHostile(t, server.Addr, bottest.Fetch(t, p.World.JWKSURL()))}
}

// The bot answers with a verdict within its deadline and stays below 150 MiB,
// whatever lies in the cache.
func TestBotAmongHostileEntries(t *testing.T) {
	h := newHostilePlace(t)
	bot := h.Connected(t, func() *bottest.Process { return h.Serve(t) }).Cmd
	idle := mebibytes(t, bot, "status", "VmRSS:")
	for range 3 { // what is remembered of one check stays while the next is made
		begin := time.Now()
		verdict := h.check(t, begin)
		took, peak := time.Since(begin), mebibytes(t, bot, "status", "VmHWM:")
		t.Logf("%d hostile entries: verdict %s after %s; RSS %.0f MiB at most, %.0f idle", h.entries, verdict, took.Round(time.Millisecond), peak, idle)
		if took > hostileDeadline || peak > hostileMemory {
			t.Errorf("the check took %s and %.0f MiB", took, peak)
		}
		if verdict == string(diagnose.Healthy) {
			t.Error("healthy, with a cache full of rubbish")
		}
	}
}

// check asks for a new check, by a window that was not asked for before, and
// returns its verdict.
func (h *hostilePlace) check(t *testing.T, now time.Time) (verdict string) {
	t.Helper()
	before := len(h.Sim.Messages("C0BRIDGE"))
	window := 10 + before
	if d := h.Sim.Command("U0ONCALL", "C0BRIDGE", fmt.Sprintf("/jwks-check production since=%dm", window)); d.Err != nil {
		t.Fatal(d.Err)
	}
	ctx, cancel := context.WithDeadline(t.Context(), now.Add(2*hostileDeadline))
	defer cancel()
	err := h.Sim.Wait(ctx, func(sim *slacksim.Sim) bool {
		for i, m := range sim.Messages("C0BRIDGE") {
			if m.Metadata != nil && i >= before && m.Metadata.EventType == "jwksbot_report" {
				verdict, _ = m.Metadata.Payload["verdict"].(string)
			}
		}
		return verdict != ""
	})
	if err != nil {
		t.Fatalf("no verdict: %v\n%s", err, h.Sim.Transcript())
	}
	return verdict
}

// In the terminal every entry is told: what was not read and why, and the sound
// one among them as what it is.
func TestCheckTellsWhatWasNotRead(t *testing.T) {
	h := newHostilePlace(t)
	cmd, err := h.Binary("check", "production", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	begin := time.Now()
	peak := peakOf(t, cmd)
	took := time.Since(begin)
	var report struct {
		Verdict string
		Steps   []struct{ Name, Status, Summary string }
		Keys    struct {
			Cached []struct {
				Entry, Note string
				Keys        []runbook.Key
			}
		}
	}
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	t.Logf("verdict %s after %s, %.0f MiB", report.Verdict, took.Round(time.Millisecond), peak)
	if took > hostileDeadline || peak > hostileMemory {
		t.Errorf("the check took %s and %.0f MiB", took, peak)
	}
	undecoded, huge, sound := 0, "", 0
	for _, e := range report.Keys.Cached {
		switch {
		case e.Entry == "jwks:huge":
			huge = e.Note
		case e.Entry == "jwks:zz-sound":
			sound = len(e.Keys)
		case strings.HasPrefix(e.Note, "not decoded: took more than"):
			undecoded++
		}
	}
	if len(report.Keys.Cached) != h.entries || undecoded < 10 || sound == 0 || !strings.HasPrefix(huge, "too large: 250 elements in ") {
		t.Errorf("%d entries of %d, %d not decoded, %d keys in the sound one, the huge one %q", len(report.Keys.Cached), h.entries, undecoded, sound, huge)
	}
	for _, s := range report.Steps {
		if s.Name == runbook.StepCachedKeys && !strings.Contains(s.Summary, "of them were not read") {
			t.Errorf("%s: %s", s.Name, s.Summary)
		}
	}
}

// peakOf runs a command and returns the most memory that it was seen to occupy,
// in MiB. What the system says at its end is that of the test, which it was
// forked from.
func peakOf(t *testing.T, cmd *exec.Cmd) (peak float64) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }() // the verdict is its exit code
	status := filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "status")
	for tick := time.Tick(5 * time.Millisecond); ; {
		select {
		case <-ended:
			return peak
		case <-tick:
		}
		text, _ := os.ReadFile(status) // gone with the process
		_, rest, _ := strings.Cut(string(text), "VmHWM:")
		var n float64
		if _, err := fmt.Sscan(rest, &n); err == nil {
			peak = max(peak, n/1024)
		}
	}
}
