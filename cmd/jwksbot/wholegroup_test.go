package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"jwksbot/runbook/cache"
	"jwksbot/runbook/cache/redistest"
	"jwksbot/runbook/config"
	"jwksbot/runbook/redact"
)

// TestWholeGroup empties three real primaries by way of the form: the card says
// how many keys of other owners go with it, nobody gets it without an override,
// and nothing but what the authoriser wrote afterwards is left.
func TestWholeGroup(t *testing.T) {
	t.Parallel()
	var hosts []string
	for _, n := range redistest.StartCluster(t, 3, 0) {
		hosts = append(hosts, n.Addr)
	}
	admin := redis.NewClusterClient(&redis.ClusterOptions{Addrs: hosts})
	s := newRealStory(t, admin)
	s.names = namesOnEveryShard(t, admin, 1)
	for _, name := range s.names {
		s.set(name, s.old, time.Hour)
	}
	const sessions = 1200
	for i := range sessions {
		s.set(fmt.Sprintf("session:%04d", i), "somebody", 0)
	}
	s.authorise()
	s.serve(config.Cache{URL: redact.Secret("redis://" + strings.Join(hosts, ",")), Auth: cache.AuthNone, Keys: []string{"jwks:*"}, AllowFlushAll: true})

	form := map[string]any{"ticket": "INC-2026-0214-001", "reason": "keys rotated at 02:40", "scope": "all"}
	s.command("/jwks-flush production")
	s.fill(form)
	s.shows("A flush of the whole replication group cannot be undone, and also deletes 1,200 keys that are not JWKS")
	if n := sessionsLeft(t, admin); n != sessions {
		t.Fatalf("%d of %d sessions are left before anybody approved", n, sessions)
	}
	s.command("/jwks-flush production")
	form["override"] = "the cluster is for this alone tonight"
	s.fill(form)
	run := s.approved()
	s.shows("1,200")
	s.ends(run, "done")
	if n := sessionsLeft(t, admin); n != 0 {
		t.Errorf("%d of %d sessions are left", n, sessions)
	}
	for _, name := range s.names {
		if got := admin.Get(t.Context(), name).Val(); got != s.live {
			t.Errorf("%q does not hold the live key set", name)
		}
	}
	s.shows("keys of other owners: 1,200 before, 0 now")
}

// sessionsLeft counts the keys of other owners.
func sessionsLeft(t *testing.T, c *redis.ClusterClient) int {
	t.Helper()
	counts := make(chan int, 16)
	err := c.ForEachMaster(t.Context(), func(ctx context.Context, node *redis.Client) error {
		names, err := node.Keys(ctx, "session:*").Result()
		counts <- len(names)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	close(counts)
	total := 0
	for n := range counts {
		total += n
	}
	return total
}
