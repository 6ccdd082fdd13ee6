package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"jwksbot/cmd/jwksbot/bottest"
	"jwksbot/runbook"
	"jwksbot/runbook/cache"
	"jwksbot/runbook/cache/redistest"
	"jwksbot/runbook/config"
	"jwksbot/runbook/journal"
	"jwksbot/runbook/redact"
)

// TestFlushFollowsFailover: one of three primaries fails over between two
// deletions of a flush that people requested and approved. The run ends with the
// proof, nothing old is left on the new primary either, and nothing else is lost.
func TestFlushFollowsFailover(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]failover{
		"an operator switches over":                     {func(*failoverStory) {}, 1, (*failoverStory).switchOver},
		"the primary dies before its replica knows all": {(*failoverStory).stopReplication, flushBatch - 1, (*failoverStory).die},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newFailoverStory(t).tell(f)
		})
	}
}

// failover is one way to lose a primary.
type failover struct {
	before    func(*failoverStory)
	deletions int // on the shard, after which amid comes
	amid      func(*failoverStory)
}

// flushBatch is how many entries a flush deletes in one round trip. Of those, one
// may be refilled before the next.
const flushBatch = 500

// failoverEntries go stale: more than a batch on each of three primaries.
const failoverEntries = 2100

// failoverSessions is how many keys of other owners share the cluster.
const failoverSessions = 3000

// failoverStory is a real story on a cluster, one shard of which is in the
// test's hands.
type failoverStory struct {
	*realStory
	nodes            []*redistest.Server
	primary, replica *redistest.Server // of the shard
	proxy            *bottest.Proxy    // everybody's way to the primary
	cluster          *redis.ClusterClient
}

func newFailoverStory(t *testing.T) *failoverStory {
	f := &failoverStory{nodes: redistest.StartCluster(t, 3, 1)}
	f.primary = f.nodes[0]
	id := f.primary.CLI(t, "cluster", "myid")
	for _, n := range f.nodes {
		if strings.Contains(n.CLI(t, "cluster", "nodes"), "myself,slave "+id) {
			f.replica = n
		}
	}
	f.proxy = bottest.StartProxy(t, f.primary.Addr)
	f.primary.CLI(t, "config", "set", "cluster-announce-port", portOf(f.proxy.Addr))
	f.awaitSlots(t, f.proxy.Addr)
	f.cluster = redis.NewClusterClient(&redis.ClusterOptions{Addrs: f.seeds()})
	f.realStory = newRealStory(t, f.cluster)
	f.names = namesOnEveryShard(t, f.cluster, 1) // for which the authoriser asks
	return f
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// seeds are the addresses of the primaries.
func (s *failoverStory) seeds() []string {
	return []string{s.proxy.Addr, s.nodes[1].Addr, s.nodes[2].Addr}
}

// awaitSlots waits until the other primaries know addr as the shard's primary.
func (s *failoverStory) awaitSlots(t *testing.T, addr string) {
	t.Helper()
	for _, n := range s.nodes[1:3] {
		redistest.Await(t, "the other primaries to know of "+addr, func() bool {
			for _, line := range strings.Split(n.CLI(t, "cluster", "nodes"), "\n") {
				// id, address, flags, six more, slots
				f := strings.Fields(line)
				if len(f) > 8 && strings.Contains(f[1], ":"+portOf(addr)+"@") && strings.Contains(f[2], "master") {
					return true
				}
			}
			return false
		})
	}
}

// tell plays the story.
func (s *failoverStory) tell(f failover) {
	s.goStale()
	sessions := fingerprint(s.T, s.cluster)
	if sessions.count != failoverSessions {
		s.Fatalf("%d keys of other owners, want %d", sessions.count, failoverSessions)
	}
	f.before(s)
	s.authorise()
	s.serve(config.Cache{URL: redact.Secret("redis://" + strings.Join(s.seeds(), ",")), Auth: cache.AuthNone, Keys: []string{"jwks:*"}})
	s.command("/jwks-flush production")
	s.fill(map[string]any{"ticket": "INC-2026-0214-001", "reason": "keys rotated at 02:40"})
	card := s.card()

	direct := redis.NewClient(&redis.Options{Addr: s.primary.Addr})
	defer direct.Close()
	full := direct.DBSize(s.Context()).Val()
	held := s.proxy.HoldWhile(func() bool { return direct.DBSize(s.Context()).Val() <= full-int64(f.deletions) })
	s.press("U0LEAD", card, "approve")
	select {
	case <-held:
	case <-bottest.Bounded(s.T, 60*time.Second).Done():
		s.Fatalf("the deletion did not come so far\n%s", s.st.sim.Transcript())
	}
	s.Logf("fails over after %d of %d deletions on its shard", full-direct.DBSize(s.Context()).Val(), full)
	f.amid(s)
	s.proxy.Release()

	s.ends(card, string(runbook.StateDone))
	s.shows(
		fmt.Sprintf("%s old entries deleted on 3 shards", runbook.Thousands(failoverEntries)),
		fmt.Sprintf("Proven: 0 of %s old entries left on 3 shards; refilled with live keys after", runbook.Thousands(failoverEntries)))
	if now := fingerprint(s.T, s.cluster); now != sessions {
		s.Errorf("the keys of other owners were %d and are %d, or one of them changed", sessions.count, now.count)
	}
	s.judgeEntries()
	s.judgeTrail()
}

// goStale fills the cache with old entries and with keys of other owners, and
// waits until the replica has them.
func (s *failoverStory) goStale() {
	s.Helper()
	for _, name := range s.names {
		s.set(name, s.old, time.Hour)
	}
	pipe := s.cluster.Pipeline()
	for i := range failoverEntries - len(s.names) {
		pipe.Set(s.Context(), fmt.Sprintf("jwks:idle:%04d", i), s.old, time.Hour)
	}
	if _, err := pipe.Exec(s.Context()); err != nil {
		s.Fatal(err)
	}
	fillSessions(s.T, s.cluster, failoverSessions)
	redistest.Await(s.T, "the replica to catch up", func() bool { return s.replica.CLI(s.T, "dbsize") == s.primary.CLI(s.T, "dbsize") })
}

// judgeEntries: what was asked for is there and live, all else is gone, on
// every server that is a primary now.
func (s *failoverStory) judgeEntries() {
	s.Helper()
	for _, name := range s.names {
		if got := s.redis.Get(s.Context(), name).Val(); got == s.old {
			s.Errorf("%q is old", name)
		}
		redistest.Await(s.T, name+" to be refilled", func() bool { return s.redis.Get(s.Context(), name).Val() == s.live })
	}
	for _, n := range append([]*redistest.Server{s.replica}, s.nodes[1:3]...) {
		if left := n.CLI(s.T, "--scan", "--pattern", "jwks:idle:*"); left != "" {
			s.Errorf("old entries are left on %s: %.200q", n.Addr, left)
		}
	}
}

// judgeTrail: the flush is one effect in an unbroken trail.
func (s *failoverStory) judgeTrail() {
	s.Helper()
	j, err := journal.Open(s.Context(), journal.Settings{URL: s.st.parts.cfg.Journal.Reveal()})
	if err != nil {
		s.Fatal(err)
	}
	defer j.Close(context.Background())
	var effects []string
	for row, err := range j.AuditRows(s.Context(), journal.AuditFilter{Kind: "effect"}) {
		if err != nil {
			s.Fatal(err)
		}
		effects = append(effects, row.Detail)
	}
	if len(effects) != 1 || !strings.HasPrefix(effects[0], "flush-cache: "+runbook.Thousands(failoverEntries)+" old entries deleted") {
		s.Errorf("effects in the trail: %q", effects)
	}
	if _, err := j.VerifyAudit(s.Context()); err != nil {
		s.Error(err)
	}
}

// switchOver is planned: the old primary holds its clients until its replica
// has everything, and becomes its replica.
func (s *failoverStory) switchOver() {
	s.replica.Promote(s.T)
	redistest.Await(s.T, "the old primary to be a replica", func() bool {
		return strings.HasPrefix(s.primary.CLI(s.T, "role"), "slave")
	})
	s.awaitSlots(s.T, s.replica.Addr)
}

// stopReplication cuts the replica off: it is refused when it comes back.
func (s *failoverStory) stopReplication() {
	s.replica.CLI(s.T, "config", "set", "masterauth", "refused")
	s.primary.CLI(s.T, "client", "kill", "type", "replica")
	redistest.Await(s.T, "the replica to be cut off", func() bool {
		return strings.Contains(s.primary.CLI(s.T, "info", "replication"), "connected_slaves:0")
	})
}

// die ends the primary, and its replica takes over without the deletions. The
// primary only stops until the others know, so that the bot meets the new one.
func (s *failoverStory) die() {
	if err := syscall.Kill(s.primary.PID(), syscall.SIGSTOP); err != nil {
		s.Fatal(err)
	}
	s.replica.CLI(s.T, "cluster", "failover", "takeover")
	s.awaitSlots(s.T, s.replica.Addr)
	s.primary.Stop()
}
