package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"jwksbot/runbook"
	"jwksbot/runbook/cache"
	"jwksbot/runbook/cache/redistest"
	"jwksbot/runbook/config"
	"jwksbot/runbook/redact"
)

// TestNamesThatAreNoText is the main job on entries whose names are bytes, as
// Spring's default serialiser writes them: they are shown escaped, and what was
// shown is found again, in the journal and in the cache.
func TestNamesThatAreNoText(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	s := newRealStory(t, redis.NewClient(&redis.Options{Addr: server.Addr}))
	s.names = []string{"\xac\xed\x00\x05t\x00\x07current", "\xac\xee\x00\x05t\x00\x07current", `\xac\xed\x00\x05t\x00\x07current`}
	s.tell(config.Cache{URL: redact.Secret("redis://" + server.Addr), Auth: cache.AuthNone, Keys: []string{`*current`}}, "on 1 shard")
	s.shows(`\xac\xed\x00\x05t\x00\x07current`, `\\xac\\xed\\x00\\x05t\\x00\\x07current`)
}

// TestMoreComesThanTheCardShowed has 15 old entries and 3 of another issuer come
// after a card for two, where ten can be copied: the two go, and nothing else.
func TestMoreComesThanTheCardShowed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	s := newRealStory(t, redis.NewClient(&redis.Options{Addr: server.Addr}))
	s.limit, s.names = 10, []string{"jwks:x1", "jwks:x2"}
	for _, name := range s.names {
		s.set(name, s.old, time.Hour)
	}
	s.authorise()
	s.serve(config.Cache{URL: redact.Secret("redis://" + server.Addr), Auth: cache.AuthNone, Keys: []string{"jwks:*"}})
	s.command("/jwks-flush production INC-2026-0214-001 keys rotated at 02:40")
	card := s.await("jwksbot_approval", "state", string(runbook.StatePending))

	var spared []string
	for i := range 15 {
		spared = append(spared, fmt.Sprintf("jwks:a%02d", i))
	}
	for i := range 3 {
		spared = append(spared, fmt.Sprintf("jwks:eu-west-2_Another11:%d", i))
	}
	for _, name := range spared {
		s.set(name, s.old, time.Hour)
	}
	for range 2 { // the second click finds the run decided
		if d := s.st.sim.Click("U0LEAD", card.Channel, card.TS, "approve"); d.Err != nil {
			t.Fatal(d.Err)
		}
	}
	s.await("jwksbot_run", "state", string(runbook.StateDone))
	for _, name := range s.names {
		if got := s.redis.Get(t.Context(), name).Val(); got != s.live {
			t.Errorf("%q does not hold the live key set", name)
		}
	}
	for _, name := range spared {
		if got := s.redis.Get(t.Context(), name).Val(); got != s.old {
			t.Errorf("%q was touched, and no card named it", name)
		}
	}
	s.shows("since the plan does not list them")
}

// TestTheTerminalNamesThePlan approves what was shown, also without a card: a
// plan that replaced it has to be looked at and named.
func TestTheTerminalNamesThePlan(t *testing.T) {
	t.Parallel()
	d, _ := newTeam(t, "stale")
	flush := d.start(t, "robin", "production\n", "flush", "production", "--ticket", "INC-1", "--reason", "rotated")
	id := flush.Says(`run (\S+) waits for 1 approval`)[1]
	own := redis.NewClient(&redis.Options{Addr: d.drill.RedisAddr()})
	defer own.Close()
	old := own.Get(t.Context(), d.drill.KeyName()).Val()
	kid := d.drill.State().CachedKids[0]
	if err := own.Set(t.Context(), d.drill.KeyName(), strings.ReplaceAll(old, kid, "another-kid"), time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	_, refused := d.run(t, exitFinding, "lee", "", "approve", id, "--plan", "1")
	contains(t, refused, "things changed since plan 1", "holds other keys than before", "Plan 2")
	_, refused = d.run(t, exitFinding, "lee", "", "approve", id)
	contains(t, refused, "it is plan 2 now", "jwksbot runs "+id, "--plan 2")
	_, refused = d.run(t, exitFinding, "lee", "", "approve", id, "--plan", "1")
	contains(t, refused, "you were shown plan 1, and this is plan 2 now")
	open, _ := d.run(t, exitOK, "lee", "", "runs", id)
	contains(t, open, "this is plan 2", "another-kid", "  jwksbot approve "+id+" --plan 2\n")
	d.run(t, exitOK, "lee", "", "approve", id, "--plan", "2")
	if code := flush.Exit(); code != exitOK {
		t.Errorf("exit code %d\n%s%s", code, flush.Out.String(), flush.Err.String())
	}
}
