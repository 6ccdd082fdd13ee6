package check

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/standin"
)

// recorder is a Reporter that must be called by one goroutine at a time.
type recorder struct {
	busy    atomic.Int32
	overlap atomic.Bool
	steps   []string
	results []Result
}

func (r *recorder) enter() func() {
	if r.busy.Add(1) > 1 {
		r.overlap.Store(true)
	}
	return func() { r.busy.Add(-1) }
}

func (r *recorder) Started(_ string, steps []string) {
	defer r.enter()()
	r.steps = steps
}

func (r *recorder) Step(res Result) {
	defer r.enter()()
	r.results = append(r.results, res)
}

// fullTarget has all four checks, which all succeed.
func fullTarget() *Target {
	return &Target{Name: "production", Decode: standin.Decode, Live: standin.ProbeFunc(func(context.Context) runbook.Probe { return standin.Good("a=1") }),
		Entries: standin.NewCache(map[string]string{"jwks": "keys a=1"}),
		Logs:    standin.LogsFunc(func(context.Context) (runbook.LogEvidence, error) { return runbook.LogEvidence{Pages: 1}, nil }),
		Traffic: standin.TrafficFunc(func(context.Context) (runbook.TrafficEvidence, error) {
			return runbook.TrafficEvidence{Points: []runbook.TrafficPoint{{At: standin.T0, Hits: 10}}}, nil
		})}
}

func checked(t *testing.T, r *Runner, target *Target, ask Ask) Report {
	t.Helper()
	report, err := r.Check(t.Context(), target, ask, Silent{})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// Every check waits for all others to have begun; checks that ran one after
// the other would never meet.
func TestChecksRunAtOnce(t *testing.T) {
	var meeting sync.WaitGroup
	meeting.Add(6)
	met := make(chan struct{})
	go func() { meeting.Wait(); close(met) }()
	meet := func(ctx context.Context) bool {
		meeting.Done()
		select {
		case <-met:
			return true
		case <-ctx.Done():
			return false
		}
	}
	target := fullTarget()
	var first sync.Once
	target.Live = standin.ProbeFunc(func(ctx context.Context) runbook.Probe {
		first.Do(func() { meet(ctx) })
		return standin.Good("a=1")
	})
	store := standin.NewCache(map[string]string{"jwks": "keys a=1"})
	store.OnList = func(*standin.Cache) { meet(t.Context()) }
	target.Entries = standin.NodesFunc{Cache: store, Answer: func(ctx context.Context) ([]string, error) { meet(ctx); return []string{"n"}, nil }}
	target.API = setupFunc(func(ctx context.Context) (runbook.GatewaySetup, error) {
		meet(ctx)
		return standin.SetupOf(standin.LambdaOf("jwks", "auth", "")), nil
	})
	target.Access = deniedFunc(func(ctx context.Context, _ time.Time) (int, error) { meet(ctx); return 0, nil })
	target.Function = inspectFunc(func(string) (runbook.FunctionEvidence, error) {
		return runbook.FunctionEvidence{Function: "auth", Mode: runbook.RestartLatest}, nil
	})
	target.Logs = standin.LogsFunc(func(ctx context.Context) (runbook.LogEvidence, error) {
		meet(ctx)
		return runbook.LogEvidence{Pages: 1}, nil
	})

	rec := &recorder{}
	report, err := NewRunner(standin.NewClock(), nil).Check(t.Context(), target, Ask{}, rec)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-met:
	default:
		t.Fatal("the checks did not run at once")
	}
	if got := strings.Join(rec.steps, " "); got != "live-keys cached-keys logged-keys cache-traffic gateway-errors authoriser" {
		t.Errorf("announced %q", got)
	}
	if len(rec.results) != 6 || rec.overlap.Load() {
		t.Errorf("%d results reported, overlapping: %t", len(rec.results), rec.overlap.Load())
	}
	for i, s := range report.Steps {
		if s.Step != rec.steps[i] || s.Status != runbook.StatusOK {
			t.Errorf("step %d is %s: %s (%s)", i, s.Step, s.Status, s.Summary)
		}
	}
	if report.Diagnosis.Verdict.ID != diagnose.Healthy {
		t.Errorf("verdict %s", report.Diagnosis.Verdict.ID)
	}
}

// A step that ignores its context costs its own line and nothing else. Time is
// that of a bubble: it passes when every other step has ended, on any machine.
func TestEachStepHasItsOwnDeadline(t *testing.T) {
	for name, logs := range map[string]func(never chan struct{}) standin.LogsFunc{
		"honours its context": func(chan struct{}) standin.LogsFunc {
			return func(ctx context.Context) (runbook.LogEvidence, error) {
				<-ctx.Done()
				return runbook.LogEvidence{}, ctx.Err()
			}
		},
		"ignores its context": func(never chan struct{}) standin.LogsFunc {
			return func(context.Context) (runbook.LogEvidence, error) { <-never; return runbook.LogEvidence{}, nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				never := make(chan struct{})
				defer close(never)
				r := NewRunner(standin.NewClock(), nil)
				r.deadline, r.grace = 20*time.Millisecond, 20*time.Millisecond
				target := fullTarget()
				target.Logs = logs(never)
				report := checked(t, r, target, Ask{})
				if s := report.Steps[2]; s.Status != runbook.StatusError || !strings.HasPrefix(s.Summary, "no answer within 20 ms") {
					t.Errorf("logged-keys: %s %q", s.Status, s.Summary)
				}
				for _, i := range []int{0, 1, 3} {
					if s := report.Steps[i]; s.Status != runbook.StatusOK {
						t.Errorf("%s: %s %q", s.Step, s.Status, s.Summary)
					}
				}
				if report.Diagnosis.Verdict.ID != diagnose.Inconclusive || report.ExitCode() != 2 {
					t.Errorf("verdict %s, exit %d", report.Diagnosis.Verdict.ID, report.ExitCode())
				}
			})
		})
	}
}

func TestPanickingStepIsOneFailedLine(t *testing.T) {
	var told []string
	r := NewRunner(standin.NewClock(), func(step string, value any, stack []byte) {
		told = append(told, step)
		if value != "boom" || !strings.Contains(string(stack), "runner_test.go") {
			t.Errorf("told %v with stack %s", value, stack)
		}
	})
	target := fullTarget()
	target.Logs = standin.LogsFunc(func(context.Context) (runbook.LogEvidence, error) { panic("boom") })
	report := checked(t, r, target, Ask{})
	if len(told) != 1 || told[0] != runbook.StepLoggedKeys {
		t.Errorf("told of %v", told)
	}
	if s := report.Steps[2]; s.Step != runbook.StepLoggedKeys || s.Status != runbook.StatusError || strings.Contains(s.Summary, "boom") {
		t.Errorf("the line of the panicking step is %+v", s)
	}
	if s := report.Steps[1]; s.Status != runbook.StatusOK {
		t.Errorf("cached-keys: %s", s.Summary)
	}
}

func TestFailingStepsHideNoOthers(t *testing.T) {
	target := fullTarget()
	store := standin.NewCache(nil)
	store.Fail(errors.New(`redis "10.0.1.7:6379": connection refused`))
	target.Entries = store
	target.Traffic = nil
	report := checked(t, NewRunner(standin.NewClock(), nil), target, Ask{})
	want := []runbook.Status{runbook.StatusOK, runbook.StatusError, runbook.StatusOK, runbook.StatusSkipped, runbook.StatusSkipped, runbook.StatusSkipped}
	for i, s := range report.Steps {
		if s.Status != want[i] {
			t.Errorf("%s: %s %q, want %s", s.Step, s.Status, s.Summary, want[i])
		}
	}
	if why := report.Evidence.Unread[runbook.StepCachedKeys]; !strings.Contains(why, "connection refused") {
		t.Errorf("unread: %q", why)
	}
	if _, listed := report.Evidence.Unread[runbook.StepCacheTraffic]; listed {
		t.Error("a skipped step counts as unread")
	}
	if v := report.Diagnosis.Verdict; v.ID != diagnose.Inconclusive || !strings.Contains(strings.Join(v.Because, " "), "connection refused") {
		t.Errorf("verdict %s because %v", v.ID, v.Because)
	}
}

// What was read before a reading stopped is kept.
func TestStoppedReadingOfLogsIsALowerBound(t *testing.T) {
	target := fullTarget()
	target.Logs = standin.LogsFunc(func(context.Context) (runbook.LogEvidence, error) {
		return runbook.LogEvidence{Pages: 2, Count: 7, AtLeast: true, Since: standin.T0.Add(-time.Hour), Until: standin.T0}, errors.New("throttled")
	})
	s := checked(t, NewRunner(standin.NewClock(), nil), target, Ask{}).Steps[2]
	if s.Evidence.Logged == nil || !strings.Contains(s.Summary, "at least 7 failures") || !strings.Contains(s.Summary, "throttled") {
		t.Errorf("got %q with %+v", s.Summary, s.Evidence.Logged)
	}
}

// counting is a target that counts how often it was checked.
func counting() (*Target, *atomic.Int32) {
	target, n := fullTarget(), new(atomic.Int32)
	target.Logs = standin.LogsFunc(func(context.Context) (runbook.LogEvidence, error) {
		n.Add(1)
		return runbook.LogEvidence{Pages: 1}, nil
	})
	return target, n
}

func TestSecondRequestIsShownTheFirstOnesResult(t *testing.T) {
	clock := standin.NewClock()
	r := NewRunner(clock, nil)
	target, n := counting()
	steps := []struct {
		what   string
		after  time.Duration
		ask    Ask
		checks int32
		shared bool
	}{
		{"the first", 0, Ask{}, 1, false},
		{"again", 29 * time.Second, Ask{}, 1, true},
		{"the default window, named", 0, Ask{Window: time.Hour}, 1, true},
		{"another window", 0, Ask{Window: 2 * time.Hour}, 2, false},
		{"a kid", 0, Ask{Kid: "a"}, 3, false},
		{"the same kid", 0, Ask{Kid: "a"}, 3, true},
		{"anew", 0, Ask{Anew: true}, 4, false},
		{"too old", time.Second, Ask{}, 5, false},
	}
	for _, s := range steps {
		clock.Advance(s.after)
		report := checked(t, r, target, s.ask)
		if n.Load() != s.checks || report.Shared != s.shared {
			t.Errorf("%s: %d checks, shared %t; want %d, %t", s.what, n.Load(), report.Shared, s.checks, s.shared)
		}
	}
	r.Forget("prod")
	if checked(t, r, target, Ask{}); n.Load() != 5 {
		t.Error("forgetting another target forgot this one")
	}
	r.Forget(target.Name)
	if checked(t, r, target, Ask{}); n.Load() != 6 {
		t.Error("a forgotten report was shown again")
	}
}

func TestTargetsDoNotShareReports(t *testing.T) {
	r := NewRunner(standin.NewClock(), nil)
	a, n := counting()
	b, m := counting()
	b.Name = "staging"
	checked(t, r, a, Ask{})
	if report := checked(t, r, b, Ask{}); report.Shared || report.Target != "staging" || n.Load() != 1 || m.Load() != 1 {
		t.Errorf("shared %t for %s", report.Shared, report.Target)
	}
}

// gate is a target whose check waits until the test opens it.
func gate() (*Target, chan struct{}, chan struct{}) {
	target, entered, open := fullTarget(), make(chan struct{}, 100), make(chan struct{})
	target.Logs = standin.LogsFunc(func(ctx context.Context) (runbook.LogEvidence, error) {
		entered <- struct{}{}
		select {
		case <-open:
			return runbook.LogEvidence{Pages: 1}, nil
		case <-ctx.Done():
			return runbook.LogEvidence{}, ctx.Err()
		}
	})
	return target, entered, open
}

// Many at once lead to one check, and all get its report.
func TestCallersJoinARunningCheck(t *testing.T) {
	r := NewRunner(standin.NewClock(), nil)
	target, entered, open := gate()
	var all sync.WaitGroup
	var shared atomic.Int32
	caller := func() {
		report, err := r.Check(t.Context(), target, Ask{}, Silent{})
		if err != nil || report.Diagnosis.Verdict.ID != diagnose.Healthy {
			t.Errorf("verdict %q, error %v", report.Diagnosis.Verdict.ID, err)
		}
		if report.Shared {
			shared.Add(1)
		}
	}
	all.Go(caller)
	<-entered
	for range 20 {
		all.Go(caller)
	}
	close(open)
	all.Wait()
	if shared.Load() != 20 || len(entered) != 0 {
		t.Errorf("%d callers shared the report, %d further checks", shared.Load(), len(entered))
	}
}

// The first caller's end must not take the report away from those who wait.
func TestWaitingCallersSurviveTheFirstOnesCancellation(t *testing.T) {
	r := NewRunner(standin.NewClock(), nil)
	target, entered, open := gate()
	first, cancel := context.WithCancel(t.Context())
	firstDone := make(chan struct{})
	go func() { defer close(firstDone); _, _ = r.Check(first, target, Ask{}, Silent{}) }()
	<-entered
	second := make(chan Report)
	go func() {
		report, err := r.Check(t.Context(), target, Ask{}, Silent{})
		if err != nil {
			t.Error(err)
		}
		second <- report
	}()
	cancel()
	close(open)
	if v := (<-second).Diagnosis.Verdict.ID; v != diagnose.Healthy {
		t.Errorf("verdict %s", v)
	}
	<-firstDone
}

func TestWaitingCallerMayLeave(t *testing.T) {
	r := NewRunner(standin.NewClock(), nil)
	target, entered, open := gate()
	done := make(chan struct{})
	go func() { defer close(done); _, _ = r.Check(t.Context(), target, Ask{}, Silent{}) }()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Check(ctx, target, Ask{}, Silent{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	close(open)
	<-done
}

// Forget while a check runs: what it read is from before the change.
func TestForgetDuringACheck(t *testing.T) {
	r := NewRunner(standin.NewClock(), nil)
	target, entered, open := gate()
	done := make(chan struct{})
	go func() { defer close(done); _, _ = r.Check(t.Context(), target, Ask{}, Silent{}) }()
	<-entered
	r.Forget(target.Name)
	close(open)
	<-done
	if report := checked(t, r, target, Ask{}); report.Shared {
		t.Error("the report from before the change was shown")
	}
}

// The memory of the runner is bounded, whatever people ask.
func TestReportsAreForgotten(t *testing.T) {
	clock := standin.NewClock()
	r := NewRunner(clock, nil)
	target, _ := counting()
	for i := range 5 * maxRemembered {
		clock.Advance(PlanFreshFor / maxRemembered * 2)
		checked(t, r, target, Ask{Window: time.Duration(i+1) * time.Second})
		if len(r.reports) > maxRemembered+1 {
			t.Fatalf("%d reports are remembered", len(r.reports))
		}
	}
	if last := r.Last(target.Name); last == nil || last.Question.Until.Sub(last.Question.Since) != 5*maxRemembered*time.Second {
		t.Errorf("the last report is %+v", last)
	}
	clock.Advance(PlanFreshFor)
	if r.Last(target.Name) != nil {
		t.Error("a report of two minutes ago is still fresh enough to plan with")
	}
}
