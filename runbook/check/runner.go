package check

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/diagnose"
)

// Defaults of the runner.
const (
	DefaultWindow = time.Hour
	MinWindow     = time.Minute    // metrics have one point a minute
	MaxWindow     = 24 * time.Hour // what can be read of logs within their quota
	StepDeadline  = 20 * time.Second
	freshFor      = 30 * time.Second // a second request within it is shown the first one's result
	PlanFreshFor  = 2 * time.Minute  // a request for a mitigation uses a report that is no older
	maxRemembered = 64               // reports remembered, over all targets and questions, beside those being made
)

// Runner runs the checks of a target: all at once, each with its own deadline,
// and at most once at a time for the same target and question.
type Runner struct {
	clock    runbook.Clock
	onPanic  func(step string, value any, stack []byte)
	deadline time.Duration // of each step, in real time
	grace    time.Duration // after it, for a step that is just about to return
	history  history       // nil: nothing is remembered
	observe  func(Report)  // nil: nobody counts

	mu      sync.Mutex
	reports map[string]*pending
	lines   map[string]*line // target → who waits to check it
}

// pending is a report that is being made, or was made not long ago.
type pending struct {
	done   chan struct{}
	turn   chan struct{} // closed when it may be made
	report Report
	at     time.Time // when it was finished
	weight int       // bytes that the report holds of a cache
}

// NewRunner returns a runner under the clock. onPanic, if not nil, is told of
// a step that panicked; the check goes on without it.
func NewRunner(clock runbook.Clock, onPanic func(step string, value any, stack []byte)) *Runner {
	return &Runner{clock: clock, onPanic: onPanic, deadline: StepDeadline, grace: time.Second,
		reports: map[string]*pending{}, lines: map[string]*line{}}
}

// Remember makes the runner keep the live keys of every check, and use what
// earlier ones saw. It must be called before the first check.
func (r *Runner) Remember(h history) { r.history = h }

// Observe makes the runner tell f of every report that it made, for counting.
// It must be called before the first check.
func (r *Runner) Observe(f func(Report)) { r.observe = f }

// Ask is what somebody wants checked.
type Ask struct {
	Window time.Duration // 0 means DefaultWindow
	Kid    string
	Anew   bool // never answer with a remembered report
}

// Check runs the target's checks and returns the report. It answers with a
// report that is at most 30 seconds old, or joins one that is being made,
// unless the ask says anew. The report is complete even when steps failed. Where
// too many other checks of the target wait, it is a *Refusal.
func (r *Runner) Check(ctx context.Context, t *Target, ask Ask, rep Reporter) (Report, error) {
	return r.check(ctx, t, ask, rep, freshFor)
}

// First is check for a request of a mitigation: it goes before all checks that
// wait, and is content with an older report.
func (r *Runner) First(ctx context.Context, t *Target, rep Reporter) (Report, error) {
	return r.check(ctx, t, Ask{}, rep, PlanFreshFor)
}

func (r *Runner) check(ctx context.Context, t *Target, ask Ask, rep Reporter, maxAge time.Duration) (Report, error) {
	if ask.Window <= 0 {
		ask.Window = DefaultWindow
	}
	if ask.Anew {
		return r.run(ctx, t, ask, rep), ctx.Err()
	}
	p, mine, err := r.claim(t.Name, ask, maxAge)
	if err != nil {
		return Report{}, err
	}
	if mine {
		// Others may wait for this report: it must not die with its first caller.
		report := Report{Target: t.Name}
		defer func() { r.finish(p, report) }() // also when the reporter panics
		<-p.turn
		report = r.run(context.WithoutCancel(ctx), t, ask, rep)
		return report, nil
	}
	select {
	case <-p.done:
		shared := p.report
		shared.Shared = true
		return shared, nil
	case <-ctx.Done():
		return Report{}, ctx.Err()
	}
}

// finish hands a report to those who wait for it, and the turn to the next.
func (r *Runner) finish(p *pending, report Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.report, p.at, p.weight = report, r.clock.Now(), report.weight()
	r.lighten()
	close(p.done)
	r.lines[report.Target].next()
}

// claim returns the report to wait for, and whether the caller has to make it
// when its turn comes.
func (r *Runner) claim(target string, ask Ask, maxAge time.Duration) (p *pending, mine bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, first := r.lines[target], maxAge > freshFor // who is content with an older one plans a mitigation
	if l == nil {
		l = &line{}
		r.lines[target] = l
	}
	if p := r.known(target, ask, maxAge); p != nil {
		if first {
			l.hurry(p.turn)
		}
		return p, false, nil
	}
	if err := l.full(target); err != nil && !first {
		return nil, false, err
	}
	r.forget()
	p = &pending{done: make(chan struct{}), turn: l.join(first)}
	r.reports[questionOf(target, ask)] = p
	return p, true, nil
}

// Room says whether a check could be taken on now; a *Refusal says why not.
func (r *Runner) Room(target string, ask Ask) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ask.Window <= 0 {
		ask.Window = DefaultWindow
	}
	if r.known(target, ask, freshFor) != nil || r.lines[target] == nil {
		return nil
	}
	return r.lines[target].full(target)
}

// questionOf names what is asked of a target.
func questionOf(target string, ask Ask) string {
	return fmt.Sprintf("%q %s %q", target, ask.Window, ask.Kid)
}

// known is the report that answers a question, made or being made; nil for none.
func (r *Runner) known(target string, ask Ask, maxAge time.Duration) *pending {
	p := r.reports[questionOf(target, ask)]
	if p != nil && (p.at.IsZero() || r.clock.Now().Sub(p.at) < maxAge) {
		return p
	}
	return nil
}

// forget drops what is of no more use, and the oldest of the rest while there
// are too many: how many questions people think of must not matter.
func (r *Runner) forget() {
	now := r.clock.Now()
	for len(r.reports) >= maxRemembered {
		oldest := ""
		for key, p := range r.reports {
			switch {
			case p.at.IsZero(): // being made
			case now.Sub(p.at) >= PlanFreshFor:
				delete(r.reports, key)
			case oldest == "" || p.at.Before(r.reports[oldest].at):
				oldest = key
			}
		}
		if len(r.reports) < maxRemembered || oldest == "" {
			return
		}
		delete(r.reports, oldest)
	}
}

// Last returns the newest finished report of a target that is still fresh
// enough to plan with.
func (r *Runner) Last(target string) *Report {
	now := r.clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	var newest *Report
	for _, p := range r.reports {
		select {
		case <-p.done:
		default:
			continue
		}
		if p.report.Target == target && now.Sub(p.at) < PlanFreshFor && (newest == nil || p.report.StartedAt.After(newest.StartedAt)) {
			report := p.report
			newest = &report
		}
	}
	return newest
}

// Forget drops what is remembered of a target, since the world was changed.
func (r *Runner) Forget(target string) {
	prefix := fmt.Sprintf("%q ", target)
	r.mu.Lock()
	defer r.mu.Unlock()
	for key := range r.reports {
		if len(key) >= len(prefix) && key[:len(prefix)] == prefix {
			delete(r.reports, key)
		}
	}
}

// run makes a report: every check in its own goroutine, results reported in
// the order in which they come, kept in the order of the checks.
func (r *Runner) run(ctx context.Context, t *Target, ask Ask, rep Reporter) Report {
	start := r.clock.Now()
	q := Question{Since: start.Add(-ask.Window), Until: start, Kid: ask.Kid}
	checks := t.checks()
	rep.Started(t.Name, names(checks))
	type numbered struct {
		i int
		Result
	}
	results := make(chan numbered, len(checks))
	for i, c := range checks {
		go func() { results <- numbered{i, r.step(ctx, c, q)} }()
	}
	report := Report{Target: t.Name, JWKSURL: t.JWKSURL, Question: q, Steps: make([]Result, len(checks)), StartedAt: start}
	report.Evidence.Unread, report.Evidence.At, report.Evidence.TokenLife = map[string]string{}, start, t.TokenLife
	for range checks {
		res := <-results
		report.Steps[res.i] = res.Result
		report.Evidence.Merge(res.Evidence)
		if res.Status == runbook.StatusError {
			report.Evidence.Unread[res.Step] = res.Summary
		}
		rep.Step(res.Result)
	}
	r.recall(ctx, t, &report.Evidence)
	r.remember(ctx, t.Name, &report.Evidence, start)
	report.Diagnosis = diagnose.Diagnose(report.Evidence)
	report.judge()
	report.Duration = r.clock.Now().Sub(start)
	if r.observe != nil {
		r.observe(report)
	}
	return report
}

func names(checks []Check) []string {
	out := make([]string, len(checks))
	for i, c := range checks {
		out[i] = c.Name()
	}
	return out
}

// step runs one check under its deadline. A check that panics or does not
// return in time is one failed line.
func (r *Runner) step(ctx context.Context, c Check, q Question) (res Result) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, r.deadline)
	defer cancel()
	done := make(chan Result, 1)
	go func() { done <- r.guarded(ctx, c, q) }()
	select {
	case res = <-done:
	case <-ctx.Done():
		// The check ignores its context, or is just about to return.
		select {
		case res = <-done:
		case <-time.After(r.grace):
			res = Result{Status: runbook.StatusError, Summary: fmt.Sprintf("no answer within %s", runbook.Duration(r.deadline))}
		}
	}
	res.Step, res.Duration = c.Name(), time.Since(start)
	return res
}

func (r *Runner) guarded(ctx context.Context, c Check, q Question) (res Result) {
	defer func() {
		if v := recover(); v != nil {
			if r.onPanic != nil {
				r.onPanic(c.Name(), v, debug.Stack())
			}
			res = Result{Status: runbook.StatusError, Summary: "internal error in this step; the log has the details"}
		}
	}()
	res, err := c.Run(ctx, q)
	switch {
	case err != nil && errors.Is(err, context.DeadlineExceeded):
		res.Status, res.Summary = runbook.StatusError, fmt.Sprintf("no answer within %s: %v", runbook.Duration(r.deadline), err)
	case err != nil && res.Status != runbook.StatusError:
		res.Status, res.Summary = runbook.StatusError, err.Error()
	}
	return res
}

// maxRememberedBytes bounds what the reports that are remembered hold of caches,
// which may have been filled by anybody.
const maxRememberedBytes = 32 << 20

// weight is about how much memory a report holds of a cache.
func (r Report) weight() (n int) {
	if r.Evidence.Cached == nil {
		return 0
	}
	for _, e := range r.Evidence.Cached.Entries {
		n += len(e.Name) + e.Reading.Kept()
	}
	return n
}

// lighten forgets the oldest reports while all together hold too much. The
// newest one stays.
func (r *Runner) lighten() {
	for {
		total, oldest, newest := 0, "", ""
		for key, p := range r.reports {
			if p.at.IsZero() {
				continue // still being made
			}
			total += p.weight
			if oldest == "" || p.at.Before(r.reports[oldest].at) {
				oldest = key
			}
			if newest == "" || p.at.After(r.reports[newest].at) {
				newest = key
			}
		}
		if total <= maxRememberedBytes || oldest == newest {
			return
		}
		delete(r.reports, oldest)
	}
}
