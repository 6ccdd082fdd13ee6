package cache

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"jwksbot/runbook"
	"jwksbot/runbook/cache/redistest"
)

// world is a cache with the store under test and a client to change it with.
type world struct {
	kind  string
	store *Store
	raw   redis.UniversalClient
}

func newStore(t testing.TB, s Settings) *Store {
	t.Helper()
	if s.Patterns == nil {
		s.Patterns = []string{"jwks:*"}
	}
	store, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// Kinds of cache.
const (
	miniRedis  = "miniredis"
	standalone = "standalone"
	encrypted  = "TLS and ACL user"
	cluster    = "cluster"
)

// TestOnEveryKindOfCache runs every operation on every kind of cache: the
// demo's in-process server, a standalone server, one with TLS, and a cluster of
// three primaries; the latter two as a user with no more than the printed rule.
func TestOnEveryKindOfCache(t *testing.T) {
	kinds := map[string]func(t *testing.T) (Settings, redis.UniversalClient){
		miniRedis: func(t *testing.T) (Settings, redis.UniversalClient) {
			m := miniredis.RunT(t)
			return Settings{URL: "redis://" + m.Addr()}, redis.NewClient(&redis.Options{Addr: m.Addr()})
		},
		standalone: func(t *testing.T) (Settings, redis.UniversalClient) {
			r := redistest.Start(t, redistest.Options{})
			return Settings{URL: "redis://" + r.Addr}, redis.NewClient(&redis.Options{Addr: r.Addr})
		},
		encrypted: func(t *testing.T) (Settings, redis.UniversalClient) {
			r := redistest.Start(t, redistest.Options{TLS: true, User: "jwksbot", Password: "geheim", Rules: ruleOf(Settings{Patterns: severalPatterns, FlushAll: true})})
			return Settings{URL: "rediss://" + r.Addr, Username: "jwksbot", Password: "geheim", RootCAs: r.RootCAs}, adminClient(r)
		},
		cluster: func(t *testing.T) (Settings, redis.UniversalClient) {
			nodes := redistest.StartCluster(t, 3, 0)
			for _, n := range nodes {
				n.CLI(t, append([]string{"acl", "setuser", "jwksbot", "on", ">geheim"}, strings.Fields(ruleOf(Settings{Patterns: severalPatterns, FlushAll: true}))...)...)
			}
			return Settings{URL: "redis://" + nodes[0].Addr, Username: "jwksbot", Password: "geheim"}, redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{nodes[0].Addr}})
		},
	}
	for kind, start := range kinds {
		t.Run(kind, func(t *testing.T) {
			settings, raw := start(t)
			for name, test := range everywhere {
				emptyCache(t, raw)
				t.Run(name, func(t *testing.T) { test(t, world{kind, newStore(t, settings), raw}) })
			}
		})
	}
}

// everywhere are the tests that hold for every kind of cache.
var everywhere = map[string]func(*testing.T, world){
	"list reads every type":                listReadsEveryType,
	"delete compares on the server":        deleteComparesOnTheServer,
	"snapshot holds value and payload":     snapshotHoldsValueAndPayload,
	"others survive":                       othersSurvive,
	"purge deletes by name alone":          purgeDeletesByNameAlone,
	"refill during delete survives":        refillDuringDeleteSurvives,
	"restore brings back what was deleted": restoreBringsBackWhatWasDeleted,
	"flush all empties every primary":      flushAllEmptiesEveryPrimary,
	"list with several patterns":           listWithSeveralPatterns,
}

func emptyCache(t *testing.T, raw redis.UniversalClient) {
	t.Helper()
	flush := func(ctx context.Context, c *redis.Client) error { return c.FlushAll(ctx).Err() }
	var err error
	switch c := raw.(type) {
	case *redis.Client:
		err = flush(t.Context(), c)
	case *redis.ClusterClient:
		err = c.ForEachMaster(t.Context(), flush)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// plant writes one entry of each type.
func plant(t testing.TB, raw redis.UniversalClient) []string {
	t.Helper()
	ctx := testContext(t)
	long := strings.Repeat("x", firstRead+10)
	for _, err := range []error{
		raw.Set(ctx, "jwks:string", `{"keys":[]}`, time.Hour).Err(),
		raw.Set(ctx, "jwks:empty", "", 0).Err(),
		raw.Set(ctx, "jwks:long", long, 0).Err(),
		raw.HSet(ctx, "jwks:hash", "kid-b", "two", "kid-a", strings.Repeat("one", 100)).Err(),
		raw.SAdd(ctx, "jwks:set", "b", "a", strings.Repeat("c", 100)).Err(),
		raw.ZAdd(ctx, "jwks:zset", redis.Z{Score: 2, Member: "m2"}, redis.Z{Score: 1, Member: "m1"}).Err(),
		raw.RPush(ctx, "jwks:list", "l2", "l1").Err(),
		raw.Set(ctx, "session:1", "other", 0).Err(),
		raw.Set(ctx, "xjwks:1", "other", 0).Err(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return []string{"jwks:empty", "jwks:hash", "jwks:list", "jwks:long", "jwks:set", "jwks:string", "jwks:zset"}
}

func listReadsEveryType(t *testing.T, w world) {
	want := plant(t, w.raw)
	got, err := listAll(testContext(t), w.store)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	byName := map[string]runbook.RawEntry{}
	for _, e := range got.Entries {
		names = append(names, e.Name)
		byName[e.Name] = e
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Fatalf("names (-want +got):\n%s", diff)
	}
	if got.Others != 2 || got.Truncated {
		t.Errorf("others = %d, truncated = %v; want 2, false", got.Others, got.Truncated)
	}
	if e := byName["jwks:string"]; string(e.Value) != `{"keys":[]}` || e.TTL <= 0 || e.TTL > time.Hour || e.Shard == "" || e.Bytes != 11 {
		t.Errorf("string = %+v", e)
	}
	if e := byName["jwks:long"]; len(e.Value) != firstRead+10 || e.TTL != runbook.NoExpiry {
		t.Errorf("long string: %d bytes, TTL %v", len(e.Value), e.TTL)
	}
	fields := map[string]string{}
	for _, p := range byName["jwks:hash"].Parts {
		fields[p.Field] = string(p.Value)
	}
	if diff := cmp.Diff(map[string]string{"kid-a": strings.Repeat("one", 100), "kid-b": "two"}, fields); diff != "" {
		t.Errorf("hash (-want +got):\n%s", diff)
	}
	if e := byName["jwks:zset"]; len(e.Parts) != 2 || string(e.Parts[0].Value) != "m1" {
		t.Errorf("zset = %+v", e.Parts)
	}
	if e := byName["jwks:list"]; len(e.Parts) != 2 || string(e.Parts[0].Value) != "l2" {
		t.Errorf("list = %+v", e.Parts)
	}
	if e := byName["jwks:set"]; len(e.Parts) != 3 {
		t.Errorf("set = %+v", e.Parts)
	}
}

// What was rewritten between the snapshot and the deletion survives, whatever
// its type; what was not is deleted; what went away is gone.
func deleteComparesOnTheServer(t *testing.T, w world) {
	ctx := testContext(t)
	names := plant(t, w.raw)
	saved, err := w.store.Snapshot(ctx, append(names, "jwks:never"))
	if err != nil {
		t.Fatal(err)
	}
	if len(saved) != len(names) {
		t.Fatalf("snapshot has %d entries, want %d", len(saved), len(names))
	}
	for _, err := range []error{
		w.raw.Set(ctx, "jwks:string", `{"keys":[1]}`, 0).Err(),
		w.raw.HSet(ctx, "jwks:hash", "kid-b", "three").Err(),
		w.raw.Del(ctx, "jwks:list").Err(),
		w.raw.Expire(ctx, "jwks:long", time.Hour).Err(), // the same value: still the old entry
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]runbook.Fate{
		"jwks:empty": runbook.FateDeleted, "jwks:hash": runbook.FateRewritten, "jwks:list": runbook.FateGone,
		"jwks:long": runbook.FateDeleted, "jwks:set": runbook.FateDeleted, "jwks:string": runbook.FateRewritten,
		"jwks:zset": runbook.FateDeleted,
	}
	compared, err := w.store.Compare(ctx, saved)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range compared {
		wanted := want[r.Name]
		if wanted == runbook.FateDeleted {
			wanted = runbook.FateLeft
		}
		if r.Fate != wanted {
			t.Errorf("compare %s: %s, want %s", r.Name, r.Fate, wanted)
		}
	}
	got := map[string]runbook.Fate{}
	if err := w.store.Delete(ctx, saved, nil, func(batch []Result) error {
		for _, r := range batch {
			got[r.Name] = r.Fate
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fates (-want +got):\n%s", diff)
	}
	if n := w.raw.Exists(ctx, "jwks:string").Val() + w.raw.Exists(ctx, "jwks:hash").Val() + w.raw.Exists(ctx, "session:1").Val(); n != 3 {
		t.Errorf("%d of 3 entries survived", n)
	}
	// Repeating it changes nothing more.
	if err := w.store.Delete(ctx, saved, nil, func(batch []Result) error {
		for _, r := range batch {
			if r.Fate == runbook.FateDeleted {
				t.Errorf("%s deleted twice", r.Name)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func snapshotHoldsValueAndPayload(t *testing.T, w world) {
	ctx := testContext(t)
	names := plant(t, w.raw)
	listed, err := listAll(ctx, w.store)
	if err != nil {
		t.Fatal(err)
	}
	saved, err := w.store.Snapshot(ctx, names)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range saved {
		l := listed.Entries[i]
		if e.At.IsZero() || e.Shard != l.Shard {
			t.Errorf("%s: at %v on %q, listed on %q", e.Name, e.At, e.Shard, l.Shard)
		}
		if contentDigest(e.RawEntry) != contentDigest(l) || string(e.Value) != string(l.Value) || e.Type != l.Type {
			t.Errorf("%s: snapshot differs from listing", e.Name)
		}
	}
}

// 100,000 keys of others survive a flush of the entries beside them.
func othersSurvive(t *testing.T, w world) {
	const others = 100_000
	if w.kind == miniRedis {
		t.Skip("the in-process server is for small caches")
	}
	ctx := testContext(t)
	pipe := w.raw.Pipeline()
	for i := range others {
		pipe.Set(ctx, fmt.Sprintf("session:%d", i), "user", 0)
	}
	var names []string
	for i := range 1200 {
		names = append(names, fmt.Sprintf("jwks:%d", i))
		pipe.Set(ctx, names[i], strings.Repeat("k", 400), 0)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	listed, err := listAll(ctx, w.store)
	if err != nil {
		t.Fatal(err)
	}
	if len(listed.Entries) != len(names) || listed.Others != others {
		t.Fatalf("listed %d entries and %d others", len(listed.Entries), listed.Others)
	}
	saved, err := w.store.Snapshot(ctx, names)
	if err != nil {
		t.Fatal(err)
	}
	deleted := 0
	if err := w.store.Delete(ctx, saved, nil, func(batch []Result) error {
		if len(batch) > batchOf {
			t.Errorf("batch of %d", len(batch))
		}
		for _, r := range batch {
			if r.Fate == runbook.FateDeleted {
				deleted++
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	listed, err = listAll(ctx, w.store)
	if err != nil {
		t.Fatal(err)
	}
	if deleted != len(names) || len(listed.Entries) != 0 || listed.Others != others {
		t.Errorf("deleted %d; left %d entries and %d others", deleted, len(listed.Entries), listed.Others)
	}
}

func adminClient(r *redistest.Server) *redis.Client {
	user, password := r.Admin()
	return redis.NewClient(&redis.Options{Addr: r.Addr, Username: user, Password: password, TLSConfig: r.TLSConfig()})
}
