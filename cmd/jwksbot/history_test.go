package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"jwksbot/runbook/drill"
)

// judged is what a check at the terminal said.
type judged struct {
	Verdict  string   `json:"verdict"`
	Summary  string   `json:"summary"`
	Because  []string `json:"because"`
	Stranded []string `json:"stranded"`
	HardCut  string   `json:"hard_cut"`
}

// checkJSON checks the target from the terminal, as a process of its own.
func (d *workplace) checkJSON(t *testing.T) judged {
	t.Helper()
	p := d.start(t, "robin", "", "check", "production", "--json")
	if code := p.Exit(); code > 2 {
		t.Fatalf("exit code %d: %s", code, p.Err.String())
	}
	var out judged
	if err := json.Unmarshal([]byte(p.Out.String()), &out); err != nil {
		t.Fatalf("%v\n%s%s", err, p.Out.String(), p.Err.String())
	}
	return out
}

// What one check at the terminal saw sharpens the next: since when a key is
// live, until when the old one can still be in use, and that a key which tokens
// still name was taken out too early.
func TestChecksFromTheTerminalAreRemembered(t *testing.T) {
	t.Parallel()
	d := newWorkplace(t, "healthy")
	if first := d.checkJSON(t); first.Verdict != "healthy" {
		t.Fatalf("at first: %+v", first)
	}
	old := d.drill.State().SigningKid
	if err := d.drill.Rotate(drill.Rotation{}); err != nil {
		t.Fatal(err)
	}
	// The rotation is new to the first check after it, and known to the next.
	d.checkJSON(t)
	stale := d.checkJSON(t)
	if because := strings.Join(stale.Because, "\n"); stale.Verdict != "stale_cache" || !strings.Contains(because, "was first seen") || !strings.Contains(because, d.drill.State().SigningKid) {
		t.Errorf("after the rotation: %+v", stale)
	}
	if len(stale.Stranded) != 1 || stale.Stranded[0] != old || !strings.Contains(stale.HardCut, "the last of them expires by") {
		t.Errorf("the hard cut: %q, %q", stale.Stranded, stale.HardCut)
	}

	// Flushed, the authoriser knows the new key only; users who hold a token of
	// the old one are turned away.
	cache := redis.NewClient(&redis.Options{Addr: d.drill.RedisAddr()})
	defer cache.Close()
	if err := cache.Del(t.Context(), d.drill.KeyName()).Err(); err != nil {
		t.Fatal(err)
	}
	var last judged
	bounded := time.Now().Add(60 * time.Second)
	for last.Verdict != "removed_too_early" && time.Now().Before(bounded) {
		last = d.checkJSON(t)
	}
	if last.Verdict != "removed_too_early" || !strings.Contains(last.Summary, old) {
		t.Errorf("after the flush: %+v", last)
	}
}
