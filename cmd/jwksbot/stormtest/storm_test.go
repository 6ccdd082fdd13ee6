package stormtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"jwksbot/cmd/jwksbot/bottest"
	"jwksbot/runbook"
	"jwksbot/runbook/cache/redistest"
	"jwksbot/runbook/drill"
	"jwksbot/runbook/journal"
	"jwksbot/runbook/journal/postgrestest"
)

// TestKillStorm ends the real binary with SIGKILL at random moments, again and
// again, while people request and approve flushes of several caches and another
// client refills them: on SQLite with one replica, on Postgres with two.
// JWKSBOT_KILLS sets how many kills at least; a quarter as many runs are made.
func TestKillStorm(t *testing.T) {
	t.Parallel()
	kills := 2
	if full() {
		kills = 8
	}
	if text := os.Getenv("JWKSBOT_KILLS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("JWKSBOT_KILLS=%q is not a number of kills", text)
		}
		kills = n
	} else if testing.Short() {
		t.Skip("-short leaves it out: it takes a minute")
	}
	redistest.Need(t, "redis-server", "redis-cli")
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel() // most of the time is waiting
		newStorm(t, filepath.Join(t.TempDir(), "journal.db"), 1, kills).blow(t)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		var server postgrestest.Server
		t.Cleanup(server.Stop)
		newStorm(t, server.Database(t), 2, kills).blow(t)
	})
}

// stormTargets is how many caches are flushed side by side.
const stormTargets = 3

// storm is the world of one TestKillStorm.
type storm struct {
	*bottest.Place
	replicas int
	want     struct{ kills, runs int64 }
	journal  *journal.Journal
	caches   []*bottest.Cache

	until time.Time

	kills, runs, asked, approved atomic.Int64

	mu     sync.Mutex
	killed map[string]int // by the state of an open run at that moment
	lives  []*bottest.Process
	seen   map[string]bool // runs that belong to an earlier request
}

func newStorm(t *testing.T, journalURL string, replicas, kills int) *storm {
	s := &storm{Place: bottest.NewPlace(t, drill.Options{}), replicas: replicas, killed: map[string]int{}, seen: map[string]bool{}}
	s.want.kills, s.want.runs = int64(kills), max(int64(kills)/4, stormTargets)
	s.until = time.Now().Add(time.Hour)
	if end, ok := t.Deadline(); ok {
		s.until = end.Add(-stormPatience - time.Minute)
	}
	if soon := time.Now().Add(3 * time.Minute); s.until.Before(soon) {
		s.until = soon // the short form gets its time, also late in the package
	}
	var targets []bottest.Target
	for i := range stormTargets {
		c := bottest.NewCache(t, fmt.Sprintf("cache%d", i), s.World)
		s.caches = append(s.caches, c)
		targets = append(targets, bottest.Target{Name: c.Name, Redis: c.Proxy.Addr})
	}
	s.Configure(t, journalURL, targets...)
	var err error
	if s.journal, err = journal.Open(t.Context(), journal.Settings{URL: journalURL}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.journal.Close(context.Background()) })
	return s
}

// ahead says that the kills would be over before the runs are.
func (s *storm) ahead() bool {
	return s.kills.Load()*s.want.runs > (s.runs.Load()+stormTargets)*s.want.kills
}

// over says that there were enough kills and runs, or that the time is up: then
// what there was is judged all the same.
func (s *storm) over() bool {
	return s.kills.Load() >= s.want.kills && s.runs.Load() >= s.want.runs || time.Now().After(s.until)
}

// blow runs the storm, lets it pass, and judges what it left.
func (s *storm) blow(t *testing.T) {
	seed := rand.Uint64()
	begin := time.Now()
	calm, still := context.WithCancel(t.Context())
	defer still()
	killers, people := errgroup.Group{}, errgroup.Group{}
	for i := range s.replicas {
		killers.Go(func() error { return s.replica(calm, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	for i, c := range s.caches {
		people.Go(func() error { return s.incident(t, c, rand.New(rand.NewPCG(seed, 100+uint64(i)))) })
	}
	err := people.Wait()
	if err == nil {
		err = s.settle(t.Context())
	}
	still()
	if kerr := killers.Wait(); kerr != nil {
		t.Error(kerr)
	}
	t.Logf("seed %d: %d kills, %d requests, %d runs approved in %v; open runs at the kills: %v",
		seed, s.kills.Load(), s.asked.Load(), s.approved.Load(), time.Since(begin).Round(time.Second), s.killed)
	if err != nil {
		t.Errorf("%v", err)
	}
	s.judge(t)
	if t.Failed() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, p := range s.lives[max(0, len(s.lives)-4):] {
			t.Logf("a process said:\n%s", p.Said())
		}
	}
}

// replica keeps one replica alive, and kills it at a random moment of its life
// until the storm is over.
func (s *storm) replica(calm context.Context, random *rand.Rand) error {
	for calm.Err() == nil {
		cmd, err := s.Binary("serve")
		if err != nil {
			return err
		}
		p, err := bottest.Launch(cmd)
		if err != nil {
			return err
		}
		s.keep(p)
		s.life(calm, p, random)
	}
	return nil
}

// life waits for the moment to kill. A replica that loses the lock of Postgres
// ends by itself and is started again, as a supervisor would do.
func (s *storm) life(calm context.Context, p *bottest.Process, random *rand.Rand) {
	moment := make(chan struct{})
	live, die := context.WithCancel(calm)
	defer die()
	go func() { s.moment(live, random); close(moment) }()
	select {
	case <-p.Ended:
		return
	case <-moment:
	}
	if calm.Err() == nil {
		s.note()
		s.kills.Add(1)
	}
	p.Kill()
}

// moment returns when it is time to kill: at any time while the process starts,
// or while it works, or while a run is being carried out.
func (s *storm) moment(live context.Context, random *rand.Rand) {
	for live.Err() == nil && (s.over() || s.ahead()) {
		bottest.Pause(live, 50*time.Millisecond)
	}
	kind, wait := random.IntN(4), time.Duration(random.IntN(2500))*time.Millisecond
	if kind == 0 {
		wait /= 5
	}
	bottest.Pause(live, wait)
	if kind == 0 || kind == 1 {
		return
	}
	for begin := time.Now(); live.Err() == nil && time.Since(begin) < 3*time.Second && !s.executing(live); {
		bottest.Pause(live, 10*time.Millisecond)
	}
	bottest.Pause(live, time.Duration(random.IntN(200))*time.Millisecond)
}

func (s *storm) executing(ctx context.Context) bool {
	runs, err := s.journal.Runs(ctx, runbook.Filter{Limit: 10})
	return err == nil && slices.ContainsFunc(runs, func(r runbook.Run) bool { return r.State.Holds() && r.State != runbook.StateApproved })
}

func (s *storm) keep(p *bottest.Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lives = append(s.lives, p)
}

// note counts the states in which runs were when a replica was killed.
func (s *storm) note() {
	runs, err := s.journal.Runs(context.Background(), runbook.Filter{Limit: 20})
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range runs {
		if !r.State.Ended() {
			s.killed[string(r.State)]++
		}
	}
}

// incident is what people do about one cache: request, approve, wait for the
// end, and once more.
func (s *storm) incident(t *testing.T, c *bottest.Cache, random *rand.Rand) error {
	ctx := t.Context()
	for !s.over() {
		stop, err := c.GoStale(ctx)
		if err != nil {
			return err
		}
		run, err := s.request(ctx, c)
		if err == nil {
			err = s.seeThrough(ctx, run, random)
		}
		written := stop()
		if err != nil {
			return fmt.Errorf("%s: run %q: %w", c.Name, run, err)
		}
		if err := s.judgeCache(ctx, c, run, written); err != nil {
			return err
		}
		if n := s.runs.Add(1); n%10 == 0 {
			t.Logf("%d runs, %d kills", n, s.kills.Load())
		}
	}
	return nil
}

// request types the command until a run is there. A command whose process is
// killed before it is written down is lost, and the person sees that nothing
// comes of it.
func (s *storm) request(ctx context.Context, c *bottest.Cache) (string, error) {
	for begin := time.Now(); time.Since(begin) < stormPatience; {
		s.asked.Add(1)
		d := s.Sim.Command("U0ONCALL", "C0BRIDGE", "/jwks-flush "+c.Name+" INC-2026-0214-001 killed at random")
		if d.Err != nil {
			bottest.Pause(ctx, 200*time.Millisecond)
			continue
		}
		for asked := time.Now(); time.Since(asked) < 5*time.Second; bottest.Pause(ctx, 50*time.Millisecond) {
			if id := s.newRun(ctx, c.Name); id != "" {
				return id, nil
			}
		}
	}
	return "", fmt.Errorf("no request came through within %v", stormPatience)
}

// newRun finds a run of the target that nobody has seen before.
func (s *storm) newRun(ctx context.Context, target string) string {
	runs, err := s.journal.Runs(ctx, runbook.Filter{Target: target})
	if err != nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range runs {
		if !s.seen[r.ID] && r.State == runbook.StatePending {
			s.seen[r.ID] = true
			return r.ID
		}
	}
	return ""
}

// stormPatience is how long people wait for a run that is killed all the time.
const stormPatience = 5 * time.Minute

// seeThrough approves the run, twice at the same time, and waits for its end.
func (s *storm) seeThrough(ctx context.Context, id string, random *rand.Rand) error {
	var last runbook.Run
	for begin := time.Now(); time.Since(begin) < stormPatience; bottest.Pause(ctx, 50*time.Millisecond) {
		run, err := s.journal.Run(ctx, id)
		if err != nil {
			continue // its server may be down
		}
		last = run
		if run.State.Ended() {
			return nil
		}
		if run.State == runbook.StatePending && run.Post.TS != "" {
			if random != nil {
				bottest.Pause(ctx, time.Duration(random.IntN(300))*time.Millisecond)
			}
			s.approve(ctx, run)
		}
	}
	return fmt.Errorf("it is still %s, %d of %d", last.State, last.Progress.Done, last.Progress.Total)
}

// approve lets two people click at once, and gives the clicks time to count.
func (s *storm) approve(ctx context.Context, run runbook.Run) {
	var clicks sync.WaitGroup
	var acked atomic.Bool
	for _, who := range []string{"U0LEAD", "U0LEAD2"} {
		clicks.Go(func() {
			if d := s.Sim.Click(who, run.Post.Channel, run.Post.TS, "approve"); d.Acked {
				acked.Store(true)
			}
		})
	}
	clicks.Wait()
	if !acked.Load() {
		return
	}
	for clicked := time.Now(); time.Since(clicked) < 2*time.Second; bottest.Pause(ctx, 50*time.Millisecond) {
		if now, err := s.journal.Run(ctx, run.ID); err == nil && now.Version != run.Version {
			s.approved.Add(1)
			return
		}
	}
}

// settle decides what was asked twice, and waits until the messages show the
// end of every run.
func (s *storm) settle(ctx context.Context) error {
	for begin := time.Now(); ; bottest.Pause(ctx, 100*time.Millisecond) {
		runs, err := s.journal.Runs(ctx, runbook.Filter{Limit: 10000})
		if err != nil {
			return err
		}
		var open []string
		for _, r := range runs {
			if r.State == runbook.StatePending && r.Post.TS != "" {
				s.Sim.Click("U0LEAD", r.Post.Channel, r.Post.TS, "deny")
			}
			m, ok := s.Sim.Message(r.Post.Channel, r.Post.TS)
			if !r.State.Ended() || !ok || m.Metadata == nil || m.Metadata.Payload["state"] != string(r.State) {
				open = append(open, fmt.Sprintf("%s (%s)", r.ID, r.State))
			}
		}
		if len(open) == 0 {
			return nil
		}
		if time.Since(begin) > stormPatience {
			return fmt.Errorf("not ended, or its message does not show it: %v", open)
		}
	}
}
