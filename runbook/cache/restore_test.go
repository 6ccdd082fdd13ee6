package cache

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jwksbot/runbook"
	"jwksbot/runbook/cache/redistest"
)

func fatesOf(results []Result) map[string]runbook.Fate {
	out := map[string]runbook.Fate{}
	for _, r := range results {
		out[r.Name] = r.Fate
	}
	return out
}

func restoreBringsBackWhatWasDeleted(t *testing.T, w world) {
	ctx := testContext(t)
	names := plant(t, w.raw)
	if w.kind == miniRedis {
		names = []string{"jwks:string", "jwks:empty", "jwks:long"} // it serialises strings only
	}
	if err := w.raw.Set(ctx, "jwks:soon", "v", time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	saved, err := w.store.Snapshot(ctx, append(names, "jwks:soon"))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.Delete(ctx, saved, nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := w.raw.Set(ctx, "jwks:long", "newer", 0).Err(); err != nil {
		t.Fatal(err)
	}
	now := saved[0].At.Add(30 * time.Minute)
	want := map[string]runbook.Fate{"jwks:soon": runbook.FateGone}
	for _, n := range names {
		want[n] = runbook.FateLeft
	}
	want["jwks:long"] = runbook.FateRewritten
	for range 2 { // safe to repeat
		results, err := w.store.Restore(ctx, saved, false, now)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, fatesOf(results)); diff != "" {
			t.Errorf("fates (-want +got):\n%s", diff)
		}
	}
	if ttl := w.raw.PTTL(ctx, "jwks:string").Val(); ttl <= 29*time.Minute || ttl > 30*time.Minute {
		t.Errorf("TTL of a restored entry = %v, want 30 min", ttl)
	}
	if ttl := w.raw.PTTL(ctx, "jwks:empty").Val(); ttl != -1 {
		t.Errorf("TTL of an entry without one = %v", ttl)
	}
	if v := w.raw.Get(ctx, "jwks:long").Val(); v != "newer" {
		t.Errorf("a newer entry was overwritten with %d bytes", len(v))
	}
	results, err := w.store.Restore(ctx, saved, true, now)
	if err != nil || fatesOf(results)["jwks:long"] != runbook.FateLeft {
		t.Errorf("forced: %v, %v", results, err)
	}
	if n := w.raw.StrLen(ctx, "jwks:long").Val(); n != firstRead+10 {
		t.Errorf("forced: %d bytes", n)
	}
}

func TestRestoreOfADamagedSnapshot(t *testing.T) {
	r := redistest.Start(t, redistest.Options{})
	s := newStore(t, Settings{URL: "redis://" + r.Addr})
	_, err := s.Restore(testContext(t), []runbook.Saved{{RawEntry: runbook.RawEntry{Name: "jwks:1", TTL: runbook.NoExpiry}, Payload: []byte("nonsense")}}, false, time.Now())
	checkError(t, err, r.Addr, "cannot read the snapshot")
}

func flushAllEmptiesEveryPrimary(t *testing.T, w world) {
	if w.kind == encrypted {
		t.Skip("the user of this cache may not")
	}
	plant(t, w.raw)
	if err := w.store.FlushAll(testContext(t)); err != nil {
		t.Fatal(err)
	}
	listed, err := listAll(testContext(t), w.store)
	if err != nil || len(listed.Entries) != 0 || listed.Others != 0 {
		t.Errorf("left %+v, %v", listed, err)
	}
}

// ElastiCache parameter groups can rename commands.
func TestFlushAllRenamed(t *testing.T) {
	r := redistest.Start(t, redistest.Options{Args: []string{"--rename-command", "FLUSHALL", "restrictedflushall"}})
	s := newStore(t, Settings{URL: "redis://" + r.Addr})
	checkError(t, s.FlushAll(testContext(t)), r.Addr, "renamed", "flush the matching keys instead")
}
