package cache

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"jwksbot/runbook"
	"jwksbot/runbook/cache/redistest"
)

// A shard of a cluster of three fails over between snapshot and deletion, and in
// the middle of the deletion: every entry ends once, and none is left anywhere.
func TestDeleteFollowsClusterFailover(t *testing.T) {
	for _, when := range []string{"before", "in the middle"} {
		t.Run(when, func(t *testing.T) { deleteDuringFailover(t, when == "before") })
	}
}

func deleteDuringFailover(t *testing.T, before bool) {
	nodes := redistest.StartCluster(t, 3, 1)
	s := newStore(t, Settings{URL: "redis://" + nodes[0].Addr + "," + nodes[1].Addr})
	raw := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{nodes[0].Addr}})
	t.Cleanup(func() { raw.Close() })
	saved := fillEntries(t, s, raw, 9*batchOf) // some three batches on each primary
	if before {
		failOver(t, nodes)
	}
	fates := map[runbook.Fate]int{}
	count := tally(t, fates)
	batches := 0
	err := s.Delete(testContext(t), saved, nil, func(batch []Result) error {
		if batches++; batches == 1 && !before {
			failOver(t, nodes)
		}
		return count(batch)
	})
	if err != nil {
		t.Fatal(err)
	}
	// A batch whose answer was lost in the failover is found gone when it is tried again.
	if fates[runbook.FateDeleted]+fates[runbook.FateGone] != len(saved) || fates[runbook.FateDeleted] < len(saved)-2*batchOf {
		t.Errorf("fates %v of %d entries", fates, len(saved))
	}
	for _, n := range nodes {
		if strings.HasPrefix(n.CLI(t, "role"), "master") && n.CLI(t, "dbsize") != "0" {
			t.Errorf("%s entries left on %s", n.CLI(t, "dbsize"), n.Addr)
		}
	}
	results, err := s.Compare(testContext(t), saved)
	if err != nil || len(results) != len(saved) {
		t.Fatalf("read back %d of %d: %v", len(results), len(saved), err)
	}
	for _, r := range results {
		if r.Fate != runbook.FateGone {
			t.Errorf("%s is %s", r.Name, r.Fate)
		}
	}
	if before {
		flushAllAfterFailover(t, nodes, s, raw)
	}
}

// failOver makes the first replica among the nodes the primary of its shard.
func failOver(t testing.TB, nodes []*redistest.Server) {
	t.Helper()
	for _, n := range nodes {
		if strings.Contains(n.CLI(t, "role"), "slave") {
			n.Promote(t)
			return
		}
	}
	t.Fatal("no node is a replica")
}

// flushAllAfterFailover flushes the whole group with one shard just failed
// over: the new primary is emptied too, and no other one twice.
func flushAllAfterFailover(t *testing.T, nodes []*redistest.Server, s *Store, raw redis.UniversalClient) {
	fillEntries(t, s, raw, 100)
	// Another shard: the cluster does not vote for the same one again so soon.
	slices.Reverse(nodes)
	failOver(t, nodes)
	if err := s.FlushAll(testContext(t)); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if !strings.HasPrefix(n.CLI(t, "role"), "master") {
			continue
		}
		if n.CLI(t, "dbsize") != "0" {
			t.Errorf("%s is not empty", n.Addr)
		}
		if stats := n.CLI(t, "info", "commandstats"); !strings.Contains(stats, "cmdstat_flushall:calls=1,") {
			t.Errorf("%s was not flushed once:\n%s", n.Addr, stats)
		}
	}
}

// While a resharding moves a slot, its keys lie on two servers. All are
// listed once, saved, and deleted, by a user with the printed rule.
func TestReshardingInProgress(t *testing.T) {
	nodes := redistest.StartCluster(t, 3, 0)
	for _, n := range nodes {
		n.CLI(t, append([]string{"acl", "setuser", "jwksbot", "on", ">geheim"}, strings.Fields(ruleOf(Settings{}))...)...)
	}
	ctx := testContext(t)
	s := newStore(t, Settings{URL: "redis://" + nodes[0].Addr, Username: "jwksbot", Password: "geheim"})
	raw := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{nodes[0].Addr}})
	names := []string{"jwks:{move}:gone", "jwks:{move}:moved", "jwks:{move}:staying", "jwks:elsewhere"}
	for _, n := range names[1:] {
		if err := raw.Set(ctx, n, "old", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	slot := slotOf("{move}")
	from := ownerOf(t, nodes, slot)
	to := nodes[(from+1)%3]
	to.CLI(t, "cluster", "setslot", strconv.Itoa(slot), "importing", nodes[from].CLI(t, "cluster", "myid"))
	nodes[from].CLI(t, "cluster", "setslot", strconv.Itoa(slot), "migrating", to.CLI(t, "cluster", "myid"))
	host, port, _ := net.SplitHostPort(to.Addr)
	nodes[from].CLI(t, "migrate", host, port, names[1], "0", "5000")

	listed, err := listAll(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	if len(listed.Entries) != 3 || string(listed.Entries[0].Value) != "old" {
		t.Errorf("listed %+v", listed.Entries)
	}
	saved, err := s.Snapshot(ctx, names)
	if err != nil || len(saved) != 3 {
		t.Fatalf("saved %d entries: %v", len(saved), err)
	}
	fates := map[runbook.Fate]int{}
	if err := s.Delete(ctx, saved, nil, tally(t, fates)); err != nil || fates[runbook.FateDeleted] != 3 {
		t.Errorf("fates = %v, %v", fates, err)
	}
	compared, err := s.Compare(ctx, saved)
	for _, r := range compared {
		if r.Fate != runbook.FateGone {
			t.Errorf("%s: %s", r.Name, r.Fate)
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// ownerOf is the index of the node that holds keys of a slot.
func ownerOf(t testing.TB, nodes []*redistest.Server, slot int) int {
	t.Helper()
	for i, n := range nodes {
		if n.CLI(t, "cluster", "countkeysinslot", strconv.Itoa(slot)) != "0" {
			return i
		}
	}
	t.Fatalf("nobody holds keys of slot %d", slot)
	return 0
}
