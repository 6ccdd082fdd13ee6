package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"jwksbot/bot/slacksim"
	"jwksbot/cmd/jwksbot/bottest"
	"jwksbot/runbook"
	"jwksbot/runbook/cache"
	"jwksbot/runbook/cache/redistest"
	"jwksbot/runbook/config"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/drill"
	"jwksbot/runbook/redact"
)

// TestStoryOnTLSAndACL tells the main job on a real Redis with encryption in
// transit, whose user may do what [cache.Settings.Access] says and nothing else: a right
// that is missing there is missed here.
func TestStoryOnTLSAndACL(t *testing.T) {
	t.Parallel()
	patterns := []string{"jwks:*"}
	server := redistest.Start(t, redistest.Options{TLS: true, User: "jwksbot", Password: "correct-horse",
		Rules: strings.TrimPrefix(cache.Settings{Patterns: patterns}.Access(), "on ")})
	user, password := server.Admin()
	admin := redis.NewClient(&redis.Options{Addr: server.Addr, Username: user, Password: password, TLSConfig: server.TLSConfig()})
	s := newRealStory(t, admin)
	s.names = []string{"jwks:current"}
	s.roots = server.RootCAs
	s.tell(config.Cache{URL: redact.Secret("rediss://" + server.Addr), Auth: cache.AuthPassword,
		Username: server.User, Password: redact.Secret(server.Password), Keys: patterns}, "on 1 shard")
}

// others is how many keys of other owners share the cluster.
const others = 100_000

// TestStoryOnCluster tells the main job on three primaries: stale entries on
// each, one of them without an end, entries of another issuer, and 100,000 keys
// of other owners. Nothing but the stale entries is touched.
func TestStoryOnCluster(t *testing.T) {
	t.Parallel()
	var hosts []string
	for _, n := range redistest.StartCluster(t, 3, 0) {
		hosts = append(hosts, n.Addr)
	}
	admin := redis.NewClusterClient(&redis.ClusterOptions{Addrs: hosts})
	s := newRealStory(t, admin)
	s.names = namesOnEveryShard(t, admin, 2)
	s.forever = s.names[0]
	foreign := []string{"jwks:eu-west-2_Another11:a", "jwks:eu-west-2_Another11:b"}
	for _, name := range foreign {
		s.set(name, s.old, time.Hour)
	}
	fillSessions(t, admin, others)
	before := fingerprint(t, admin)
	if before.count != others {
		t.Fatalf("%d keys of other owners, want %d", before.count, others)
	}

	s.tell(config.Cache{URL: redact.Secret("redis://" + strings.Join(hosts, ",")), Auth: cache.AuthNone, Keys: []string{"jwks:*"}}, "on 3 shards")

	if after := fingerprint(t, admin); after != before {
		t.Errorf("the keys of other owners were %d and are %d, or one of them changed", before.count, after.count)
	}
	for _, name := range foreign {
		value, err := admin.Get(t.Context(), name).Result()
		if ttl := admin.PTTL(t.Context(), name).Val(); err != nil || value != s.old || ttl <= 0 || ttl > time.Hour {
			t.Errorf("the other issuer's %q was touched: %v, %d bytes, TTL %v", name, err, len(value), ttl)
		}
	}
	s.shows("100,000 other keys")
}

// realStory is the main job on a cache that the drill knows nothing of: the
// drill is the identity provider, the log and the other AWS endpoints, and a
// goroutine here is the authoriser that caches its keys.
type realStory struct {
	teller
	clock   *jumpClock
	redis   redis.UniversalClient // may do anything
	roots   *x509.CertPool
	names   []string // the authoriser's entries
	limit   int      // entries that can be copied; 0: as always
	forever string   // the one of them without a TTL
	old     string   // the key set that the stale entries hold
	live    string
}

func newRealStory(t *testing.T, client redis.UniversalClient) *realStory {
	t.Helper()
	t.Cleanup(func() { client.Close() })
	s := &realStory{teller: teller{T: t}, clock: &jumpClock{fastClock: newFastClock(6)}, redis: client}
	staged, err := drill.Start(t.Context(), drill.Options{Clock: s.clock})
	if err != nil {
		t.Fatal(err)
	}
	s.st = &stage{drill: staged, sim: slacksim.New(slacksim.Options{Clock: s.clock, Limits: slacksim.LimitsOff})}
	if s.st.url, err = s.st.sim.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	own := redis.NewClient(&redis.Options{Addr: staged.RedisAddr()})
	defer own.Close()
	s.old = own.Get(t.Context(), staged.KeyName()).Val()
	s.live = string(bottest.Fetch(t, staged.JWKSURL()))
	if s.old == "" || s.old == s.live {
		t.Fatal("the drill's cache is not stale")
	}
	return s
}

func (s *realStory) set(name, value string, ttl time.Duration) {
	s.Helper()
	if err := s.redis.Set(s.Context(), name, value, ttl).Err(); err != nil {
		s.Fatal(err)
	}
}

// tell plays the story from the first check to the last.
func (s *realStory) tell(c config.Cache, where string) {
	s.Helper()
	for _, name := range s.names {
		ttl := time.Hour
		if name == s.forever {
			ttl = 0
		}
		s.set(name, s.old, ttl)
	}
	s.authorise()
	s.serve(c)

	s.command("/jwks-check production")
	s.await("jwksbot_report", "verdict", string(diagnose.StaleCache))
	state := s.st.drill.State()
	s.shows(append(state.LiveKids, state.CachedKids...)...)
	if s.forever != "" {
		s.shows("never expires", s.forever)
	}
	s.command("/jwks-flush production INC-2026-0214-001 keys rotated at 02:40")
	card := s.await("jwksbot_approval", "state", string(runbook.StatePending))
	if d := s.st.sim.Click("U0LEAD", card.Channel, card.TS, "approve"); d.Err != nil {
		s.Fatal(d.Err)
	}
	s.await("jwksbot_run", "state", string(runbook.StateDone))
	s.shows(fmt.Sprintf("0 of %d old entries left %s; refilled with live keys after", len(s.names), where))
	for _, name := range s.names {
		if got := s.redis.Get(s.Context(), name).Val(); got != s.live {
			s.Errorf("%q does not hold the live key set", name)
		}
	}

	s.clock.jump(10 * time.Minute) // the failures of before lie back far enough
	s.command("/jwks-check production")
	s.await("jwksbot_report", "verdict", string(diagnose.Healthy))
}

// serve runs the real bot with that cache.
func (s *realStory) serve(c config.Cache) {
	s.Helper()
	cfg, err := demoConfig(s.st.drill, filepath.Join(s.TempDir(), "journal.db"), 0)
	if err != nil {
		s.Fatal(err)
	}
	cfg.Targets[0].Cache = c
	if s.limit > 0 {
		cfg.Snapshot.MaxEntries = s.limit
	}
	w := quietWorld()
	if s.st.parts, err = w.assembleWith(cfg, demoAWS(s.st.drill), s.roots, s.clock); err != nil {
		s.Fatal(err)
	}
	s.st.play(s.T, w)
}

// authorise is the authoriser: what is gone from the cache it fetches from the
// identity provider and caches again. The drill's own authoriser, whose log the
// bot reads, is given the same end of its entry.
func (s *realStory) authorise() {
	ctx, cancel := context.WithCancel(context.Background())
	own := redis.NewClient(&redis.Options{Addr: s.st.drill.RedisAddr()})
	var done sync.WaitGroup
	done.Go(func() {
		defer own.Close()
		asks := time.NewTicker(20 * time.Millisecond)
		defer asks.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-asks.C:
			}
			for _, name := range s.names {
				if err := s.redis.Get(ctx, name).Err(); errors.Is(err, redis.Nil) {
					own.Del(ctx, s.st.drill.KeyName())
					s.redis.Set(ctx, name, s.live, time.Hour)
				}
			}
		}
	})
	s.Cleanup(func() { cancel(); done.Wait() })
}

// namesOnEveryShard returns n names for each primary.
func namesOnEveryShard(t *testing.T, c *redis.ClusterClient, n int) []string {
	shards, err := c.ClusterShards(t.Context()).Result()
	if err != nil || len(shards) != 3 {
		t.Fatalf("%d shards, %v", len(shards), err)
	}
	var names []string
	have := make([]int, len(shards))
	for i := 0; len(names) < n*len(shards); i++ {
		name := fmt.Sprintf("jwks:tenant:%d", i)
		slot := c.ClusterKeySlot(t.Context(), name).Val()
		for shard, s := range shards {
			for _, r := range s.Slots {
				if slot >= r.Start && slot <= r.End && have[shard] < n {
					have[shard]++
					names = append(names, name)
				}
			}
		}
	}
	return names
}

// fillSessions writes the keys of other owners.
func fillSessions(t *testing.T, c *redis.ClusterClient, n int) {
	pipe := c.Pipeline()
	for i := range n {
		pipe.Set(t.Context(), fmt.Sprintf("session:%06d", i), fmt.Sprintf(`{"user":"user-%d"}`, i), 0)
		if pipe.Len() == 10_000 || i == n-1 {
			if _, err := pipe.Exec(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// census is what can be said of many keys at once.
type census struct {
	count int
	sum   [sha256.Size]byte // of every name and value, in no order
}

// fingerprint reads every key of other owners.
func fingerprint(t *testing.T, c *redis.ClusterClient) census {
	var mu sync.Mutex
	var out census
	err := c.ForEachMaster(t.Context(), func(ctx context.Context, node *redis.Client) error {
		for cursor := uint64(0); ; {
			names, next, err := node.Scan(ctx, cursor, "session:*", 10_000).Result()
			if err != nil {
				return err
			}
			pipe := node.Pipeline()
			for _, name := range names {
				pipe.Get(ctx, name)
			}
			cmds, err := pipe.Exec(ctx)
			if err != nil {
				return err
			}
			mu.Lock()
			for i, cmd := range cmds {
				out.count++
				one := sha256.Sum256([]byte(names[i] + "\x00" + cmd.(*redis.StringCmd).Val()))
				for j := range one {
					out.sum[j] ^= one[j]
				}
			}
			mu.Unlock()
			if cursor = next; cursor == 0 {
				return nil
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// jumpClock runs fast, and jumps ahead when a test says so.
type jumpClock struct {
	*fastClock
	ahead atomic.Int64
}

// Now is the fast clock's time and all jumps.
func (c *jumpClock) Now() time.Time { return c.fastClock.Now().Add(time.Duration(c.ahead.Load())) }

func (c *jumpClock) jump(d time.Duration) { c.ahead.Add(int64(d)) }
