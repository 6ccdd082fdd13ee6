package cache

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"jwksbot/runbook"
	"jwksbot/runbook/cache/redistest"
)

// fillEntries writes n entries and returns their snapshot.
func fillEntries(t testing.TB, s *Store, raw redis.UniversalClient, n int) []runbook.Saved {
	t.Helper()
	ctx := testContext(t)
	pipe := raw.Pipeline()
	names := make([]string, n)
	for i := range n {
		names[i] = fmt.Sprintf("jwks:%05d", i)
		pipe.Set(ctx, names[i], "old", 0)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	saved, err := s.Snapshot(ctx, names)
	if err != nil || len(saved) != n {
		t.Fatalf("snapshot of %d entries: %v", len(saved), err)
	}
	return saved
}

// tally counts fates and refuses an entry that is reported twice.
func tally(t testing.TB, fates map[runbook.Fate]int) func([]Result) error {
	seen := map[string]bool{}
	return func(batch []Result) error {
		for _, r := range batch {
			if seen[r.Name] {
				t.Errorf("%s reported twice", r.Name)
			}
			seen[r.Name] = true
			fates[r.Fate]++
		}
		return nil
	}
}

// A replica is promoted in the middle of a deletion: the old primary answers
// READONLY, ElastiCache names the new one, and the deletion goes on there.
func TestDeleteFollowsFailover(t *testing.T) {
	a := redistest.Start(t, redistest.Options{})
	b := redistest.Start(t, redistest.Options{ReplicaOf: a})
	var present atomic.Pointer[redistest.Server]
	present.Store(a)
	e := &elastiCache{serve: func(url.Values) (int, string) { return 200, standaloneXML(present.Load().Addr, false) }}
	s := newStore(t, Settings{ReplicationGroup: "oidc", AWS: e.config(t)})
	saved := fillEntries(t, s, redis.NewClient(&redis.Options{Addr: a.Addr}), 3*batchOf)

	follow := func(entries int) {
		redistest.Await(t, "the replica to follow", func() bool { return b.CLI(t, "dbsize") == strconv.Itoa(entries) })
	}
	follow(len(saved))
	fates := map[runbook.Fate]int{}
	count := tally(t, fates)
	batches := 0
	err := s.Delete(testContext(t), saved, nil, func(batch []Result) error {
		if batches++; batches == 1 {
			follow(len(saved) - batchOf)
			promote(t, b, a)
			present.Store(b)
		}
		return count(batch)
	})
	if err != nil {
		t.Fatal(err)
	}
	if fates[runbook.FateDeleted] != len(saved) || e.calls.Load() != 2 {
		t.Errorf("fates %v of %d entries, %d look-ups", fates, len(saved), e.calls.Load())
	}
	if left := b.CLI(t, "dbsize"); left != "0" {
		t.Errorf("%s entries left on the new primary", left)
	}
}

// The old primary dies with deletions that the new one never heard of: what came
// back is deleted there too and told once, under the same lease.
func TestDeleteRepeatsWhatAFailoverUndid(t *testing.T) {
	stopped := errors.New("somebody else executes this run")
	for _, c := range []struct {
		name string
		stop error
		left string
	}{
		{"allowed", nil, "0"},
		{"stopped", stopped, strconv.Itoa(3 * batchOf)},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := redistest.Start(t, redistest.Options{}), redistest.Start(t, redistest.Options{})
			var present atomic.Pointer[redistest.Server]
			e := &elastiCache{serve: func(url.Values) (int, string) { return 200, standaloneXML(present.Load().Addr, false) }}
			var saved []runbook.Saved
			var s *Store
			for _, server := range []*redistest.Server{b, a} { // both hold the same
				present.Store(server)
				s = newStore(t, Settings{ReplicationGroup: "oidc", AWS: e.config(t)})
				saved = fillEntries(t, s, redis.NewClient(&redis.Options{Addr: server.Addr}), 3*batchOf)
			}
			a.CLI(t, "set", saved[0].Name, "rewritten, and lost with the old primary")
			fates := map[runbook.Fate]int{}
			last := map[string]runbook.Fate{}
			lease, takeAway := leaseOf(c.stop)
			err := s.Delete(testContext(t), saved, lease, func(batch []Result) error {
				if present.Load() == a {
					a.CLI(t, "replicaof", "127.0.0.1", "1")
					present.Store(b)
					if c.stop != nil {
						takeAway()
					}
				}
				for _, r := range batch {
					fates[r.Fate]++
					last[r.Name] = r.Fate
				}
				return nil
			})
			if !errors.Is(err, c.stop) {
				t.Errorf("error = %v", err)
			}
			if c.stop == nil && fates[runbook.FateRewritten] != 1 || c.stop == nil && (fates[runbook.FateDeleted] != len(saved) || last[saved[0].Name] != runbook.FateDeleted) {
				t.Errorf("fates %v of %d entries, the rewritten one's at last %q", fates, len(saved), last[saved[0].Name])
			}
			if left := b.CLI(t, "dbsize"); left != c.left {
				t.Errorf("%s entries left on the new primary, want %s", left, c.left)
			}
		})
	}
}

func promote(t testing.TB, replica, old *redistest.Server) {
	t.Helper()
	replica.CLI(t, "replicaof", "no", "one")
	host, port, _ := net.SplitHostPort(replica.Addr)
	old.CLI(t, "replicaof", host, port)
}

// Authorisers refill the cache while it is being emptied: nothing that they
// write after the snapshot is ever deleted.
func refillDuringDeleteSurvives(t *testing.T, w world) {
	ctx := testContext(t)
	saved := fillEntries(t, w.store, w.raw, 2000)
	stop, stopped := make(chan struct{}), make(chan map[string]bool)
	go func() {
		fresh := map[string]bool{}
		for i := 0; ; i = (i + 37) % len(saved) {
			select {
			case <-stop:
				stopped <- fresh
				return
			default:
			}
			if w.raw.Set(ctx, saved[i].Name, "fresh", 0).Err() == nil {
				fresh[saved[i].Name] = true
			}
		}
	}()
	fates := map[runbook.Fate]int{}
	err := w.store.Delete(ctx, saved, nil, tally(t, fates))
	close(stop)
	fresh := <-stopped
	if err != nil {
		t.Fatal(err)
	}
	for name := range fresh {
		if v := w.raw.Get(ctx, name).Val(); v != "fresh" {
			t.Fatalf("%s = %q after it was refilled", name, v)
		}
	}
	listed, err := listAll(ctx, w.store)
	if err != nil || len(listed.Entries) != len(fresh) {
		t.Errorf("%d entries left, %d were refilled: %v", len(listed.Entries), len(fresh), err)
	}
}

// DUMP writes a hash in the order of its table; another order is the same
// entry.
func TestSameContentInAnotherOrderIsTheSame(t *testing.T) {
	r := redistest.Start(t, redistest.Options{})
	ctx := testContext(t)
	raw := redis.NewClient(&redis.Options{Addr: r.Addr})
	s := newStore(t, Settings{URL: "redis://" + r.Addr})
	const fields = 40
	write := func(from, to, step int) {
		raw.Del(ctx, "jwks:h")
		for i := from; i != to; i += step {
			raw.HSet(ctx, "jwks:h", fmt.Sprintf("kid-%d", i), strings.Repeat("n", 100))
		}
	}
	write(0, fields, 1)
	saved, err := s.Snapshot(ctx, []string{"jwks:h"})
	if err != nil {
		t.Fatal(err)
	}
	write(fields-1, -1, -1)
	if raw.Dump(ctx, "jwks:h").Val() == string(saved[0].Payload) {
		t.Fatal("both orders serialise the same: the test shows nothing")
	}
	results, err := s.Compare(ctx, saved)
	if err != nil || results[0].Fate != runbook.FateLeft {
		t.Errorf("%v, %v", results, err)
	}
	raw.HSet(ctx, "jwks:h", "kid-0", "another")
	results, err = s.Compare(ctx, saved)
	if err != nil || results[0].Fate != runbook.FateRewritten {
		t.Errorf("%v, %v", results, err)
	}
}

// A server that was restarted between two operations is found again.
func TestRestartedServerIsReconnected(t *testing.T) {
	a := redistest.Start(t, redistest.Options{})
	b := redistest.Start(t, redistest.Options{})
	var present atomic.Pointer[redistest.Server]
	present.Store(a)
	e := &elastiCache{serve: func(url.Values) (int, string) { return 200, standaloneXML(present.Load().Addr, false) }}
	s := newStore(t, Settings{ReplicationGroup: "oidc", AWS: e.config(t)})
	if _, err := listAll(testContext(t), s); err != nil {
		t.Fatal(err)
	}
	a.Stop()
	present.Store(b)
	b.CLI(t, "set", "jwks:1", "v")
	listed, err := listAll(testContext(t), s)
	if err != nil || len(listed.Entries) != 1 {
		t.Errorf("listing after the restart: %+v, %v", listed, err)
	}
}

// A primary that was demoted would go on to answer reads, from data that stand
// still: the proof of a flush must not come from there.
func TestReadingNoticesDemotion(t *testing.T) {
	a, b := redistest.Start(t, redistest.Options{}), redistest.Start(t, redistest.Options{})
	var present atomic.Pointer[redistest.Server]
	present.Store(a)
	e := &elastiCache{serve: func(url.Values) (int, string) { return 200, standaloneXML(present.Load().Addr, false) }}
	s := newStore(t, Settings{ReplicationGroup: "oidc", AWS: e.config(t)})
	a.CLI(t, "set", "jwks:1", "v")
	ctx := testContext(t)
	saved, err := s.Snapshot(ctx, []string{"jwks:1"})
	if err != nil || len(saved) != 1 {
		t.Fatalf("%v, %v", saved, err)
	}
	demote := func(from, to *redistest.Server) {
		from.CLI(t, "replicaof", "127.0.0.1", "1") // nobody there: what it holds stays as it is
		present.Store(to)
	}
	demote(a, b)
	if results, err := s.Compare(ctx, saved); err != nil || results[0].Fate != runbook.FateGone {
		t.Errorf("comparison after a failover: %v, %v", results, err)
	}
	b.CLI(t, "set", "jwks:2", "v")
	a.CLI(t, "replicaof", "no", "one")
	demote(b, a)
	if listed, err := listAll(ctx, s); err != nil || len(listed.Entries) != 1 || listed.Entries[0].Name != "jwks:1" {
		t.Errorf("listing after a failover: %+v, %v", listed, err)
	}
}
