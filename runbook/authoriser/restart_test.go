package authoriser

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jwksbot/runbook"
)

const run = "0214-run"

func asRefusal(t *testing.T, err error, code string) *runbook.Refusal {
	t.Helper()
	var r *runbook.Refusal
	if !errors.As(err, &r) || r.Code != code {
		t.Fatalf("got %v, want a refusal %q", err, code)
	}
	return r
}

// asError wants an error that is no refusal: something may have been written.
func asError(t *testing.T, err error, words ...string) {
	t.Helper()
	var r *runbook.Refusal
	if err == nil || errors.As(err, &r) {
		t.Fatalf("got %v, want an error that is no refusal", err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("says %q, without %q", err, w)
		}
	}
}

func TestRestartLatest(t *testing.T) {
	service, f := stage(t)
	before := maps.Clone(service.versions[latest])
	plan := planOf(t, f, "")
	var said []string
	began := service.clock.Now()
	got, err := f.Restart(t.Context(), plan, run, func(s string) { said = append(said, s) })
	if err != nil {
		t.Fatal(err)
	}
	end := began.Add(service.takes)
	if got.Version != latest || got.UpdatedAt.Before(end.Add(-updateEvery)) || got.UpdatedAt.After(end) || len(said) == 0 {
		t.Errorf("result %+v, said %q", got, said)
	}
	after := service.versions[latest]
	if d := after["Description"]; d != "jwksbot 0214-run 2026-02-14T03:00:00Z | Validates tokens" {
		t.Errorf("description %q", d)
	}
	for _, key := range []string{"Description", "RevisionId", "LastModified"} {
		delete(before, key)
		delete(after, key)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("more than the description changed:\n%s", diff)
	}
	if proof := strings.Join(got.Proof, "; "); !strings.Contains(proof, "finished by 03:00:04 UTC") || !strings.Contains(proof, "environment, role, layers, code") {
		t.Errorf("proof %q", proof)
	}
}

// A restart that is repeated for the same run writes nothing a second time; one
// of another run replaces the mark.
func TestRestartTwice(t *testing.T) {
	service, f := stage(t)
	plan := planOf(t, f, "")
	for range 2 {
		if _, err := f.Restart(t.Context(), plan, run, nil); err != nil {
			t.Fatal(err)
		}
	}
	if len(service.writes) != 1 {
		t.Fatalf("wrote %q", service.writes)
	}
	asRefusal(t, second(f.Restart(t.Context(), plan, "0214-other", nil)), runbook.RefusedChanged)
	if _, err := f.Restart(t.Context(), planOf(t, f, ""), "0214-other", nil); err != nil {
		t.Fatal(err)
	}
	if d := service.versions[latest]["Description"].(string); strings.Count(d, "jwksbot") != 1 || !strings.HasSuffix(d, "| Validates tokens") {
		t.Errorf("description %q", d)
	}
}

func second(_ runbook.RestartResult, err error) error { return err }

func TestRestartAlias(t *testing.T) {
	service, f := stage(t)
	service.withAlias(2)
	plan := planOf(t, f, "live")
	var said []string
	got, err := f.Restart(t.Context(), plan, run, func(s string) { said = append(said, s) })
	if err != nil {
		t.Fatal(err)
	}
	if got.Version != "8" || got.Previous != "7" || service.alias["FunctionVersion"] != "8" {
		t.Errorf("result %+v, alias %v", got, service.alias)
	}
	if diff := cmp.Diff([]string{"UpdateFunctionConfiguration", "PublishVersion", "UpdateAlias"}, service.writes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(service.versions["7"]["Environment"], service.versions["8"]["Environment"]); diff != "" {
		t.Error(diff)
	}
	if service.ready["live"]["Status"] != "READY" || !strings.Contains(strings.Join(said, "; "), "0 of 2 ready") {
		t.Errorf("said %q, concurrency %v", said, service.ready["live"])
	}
	if proof := strings.Join(got.Proof, "; "); !strings.Contains(proof, "alias live points to version 8, which equals version 7") || !strings.Contains(proof, "ready (2 of 2)") {
		t.Errorf("proof %q", proof)
	}

	back, err := f.MoveBack(t.Context(), plan, run)
	if err != nil || back.Version != "7" || back.Previous != "8" || service.alias["FunctionVersion"] != "7" || service.ready["live"]["Status"] != "READY" {
		t.Fatalf("moved back: %+v, %v; alias %v", back, err, service.alias)
	}
	if _, err := f.MoveBack(t.Context(), plan, run); err != nil {
		t.Errorf("again: %v", err)
	}
	if len(service.writes) != 4 {
		t.Errorf("wrote %q", service.writes)
	}
}

// A crash, or a lost answer, after any call: the next attempt goes on where the
// first was, and each write is made once.
func TestRestartGoesOnAfterACrash(t *testing.T) {
	var calls atomic.Int64
	{ // count the calls of an undisturbed restart
		service, f := stage(t)
		service.withAlias(1)
		plan := planOf(t, f, "live")
		service.hook(func(string) { calls.Add(1) })
		if _, err := f.Restart(t.Context(), plan, run, nil); err != nil {
			t.Fatal(err)
		}
	}
	if calls.Load() < 10 {
		t.Fatalf("only %d calls", calls.Load())
	}
	for crash := int64(1); crash <= calls.Load(); crash++ {
		t.Run(fmt.Sprint(crash), func(t *testing.T) {
			service, f := stage(t)
			service.withAlias(1)
			plan := planOf(t, f, "live")
			ctx, kill := newKill(t)
			var n atomic.Int64
			service.hook(func(string) {
				if n.Add(1) == crash {
					kill()
				}
			})
			_, _ = f.Restart(ctx, plan, run, nil) // may be through already when the last call is cut
			service.hook(nil)
			got, err := f.Restart(t.Context(), plan, run, nil)
			if err != nil {
				t.Fatal(err)
			}
			service.mu.Lock()
			defer service.mu.Unlock()
			if diff := cmp.Diff([]string{"UpdateFunctionConfiguration", "PublishVersion", "UpdateAlias"}, dedup(service.writes)); diff != "" {
				t.Error(diff)
			}
			if got.Version != "8" || len(service.versions) != 3 || service.alias["FunctionVersion"] != "8" || got.UpdatedAt.IsZero() {
				t.Errorf("result %+v, %d versions, alias %v", got, len(service.versions), service.alias)
			}
		})
	}
}

// dedup drops repetitions of PublishVersion, which Lambda answers with the
// version that exists; other writes must not be repeated.
func dedup(writes []string) []string {
	var out []string
	for _, w := range writes {
		if w != "PublishVersion" || len(out) == 0 || out[len(out)-1] != w {
			out = append(out, w)
		}
	}
	return out
}

func TestLostAnswers(t *testing.T) {
	for _, op := range []string{"UpdateFunctionConfiguration", "PublishVersion", "UpdateAlias"} {
		t.Run(op, func(t *testing.T) {
			service, f := stage(t)
			service.withAlias(0)
			service.takes = 0
			plan := planOf(t, f, "live")
			service.fail[op] = []fault{{lost: true}}
			got, err := f.Restart(t.Context(), plan, run, nil)
			if err != nil || got.Version != "8" || service.alias["FunctionVersion"] != "8" || len(service.versions) != 3 {
				t.Errorf("%+v, %v; alias %v, %d versions", got, err, service.alias, len(service.versions))
			}
		})
	}
}

// A plan that was overtaken is refused without a write.
func TestStalePlans(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(s *lambdaService)
		says string
	}{
		{"another revision", change("RevisionId", "rev-x"), "another revision"},
		{"the alias was moved", func(s *lambdaService) {
			s.versions["8"] = maps.Clone(s.versions["7"])
			s.versions["8"]["Version"], s.alias["FunctionVersion"], s.alias["RevisionId"] = "8", "8", "alias-1"
		}, "alias live points to version 8 instead of 7"},
		{"the alias was changed", func(s *lambdaService) { s.alias["RevisionId"] = "alias-1" }, "alias live was changed"},
		{"deployed everywhere", func(s *lambdaService) {
			s.versions[latest]["CodeSha256"], s.versions["7"]["CodeSha256"] = "0ther", "0ther"
		}, "other code"},
		{"the alias now means $LATEST", func(s *lambdaService) { s.alias["FunctionVersion"] = latest }, "in another way"},
	} {
		t.Run(c.name, func(t *testing.T) {
			service, f := stage(t)
			service.withAlias(0)
			plan := planOf(t, f, "live")
			c.set(service)
			r := asRefusal(t, second(f.Restart(t.Context(), plan, run, nil)), runbook.RefusedChanged)
			if !strings.Contains(r.Text, c.says) || !strings.Contains(r.Text, "Nothing was changed by this run") {
				t.Errorf("says %q", r.Text)
			}
			if len(service.writes) > 0 {
				t.Errorf("wrote %q", service.writes)
			}
		})
	}
}

// Somebody changes the function between what is read and the write: only
// RevisionId can tell.
func TestOvertakenBetweenReadAndWrite(t *testing.T) {
	for _, c := range []struct {
		op, code string
		set      func(s *lambdaService)
	}{
		{"UpdateFunctionConfiguration", runbook.RefusedChanged, change("RevisionId", "rev-x")},
		{"UpdateFunctionConfiguration", runbook.RefusedUnsafe, func(s *lambdaService) {
			s.versions[latest]["LastUpdateStatus"], s.finishesAt = "InProgress", s.clock.Now().Add(time.Hour)
		}},
	} {
		service, f := stage(t)
		plan := planOf(t, f, "")
		service.before = func(op string) {
			if op == c.op {
				service.mu.Lock()
				defer service.mu.Unlock()
				c.set(service)
			}
		}
		asRefusal(t, second(f.Restart(t.Context(), plan, run, nil)), c.code)
		if len(service.writes) > 0 {
			t.Errorf("wrote %q", service.writes)
		}
	}
}

// Throttling and broken connections while waiting end nothing.
func TestWaitsOutThrottling(t *testing.T) {
	service, f := stage(t)
	plan := planOf(t, f, "")
	service.takes = 30 * time.Second
	n := 0 // calls come one at a time here
	service.before = func(op string) {
		if n++; op == "GetFunctionConfiguration" && n > 3 && n < 20 {
			service.mu.Lock()
			defer service.mu.Unlock()
			service.fail[op] = []fault{{status: 429, code: "TooManyRequestsException"}}
		}
	}
	if _, err := f.Restart(t.Context(), plan, run, nil); err != nil {
		t.Fatal(err)
	}
}

func TestMark(t *testing.T) {
	at := time.Date(2026, time.February, 14, 3, 0, 0, 0, time.UTC)
	for _, c := range []struct{ before, after string }{
		{"", "jwksbot r1 2026-02-14T03:00:00Z"},
		{"Validates tokens", "jwksbot r1 2026-02-14T03:00:00Z | Validates tokens"},
		{"jwksbot r0 2026-01-01T00:00:00Z", "jwksbot r1 2026-02-14T03:00:00Z"},
		{"jwksbot r0 2026-01-01T00:00:00Z | Validates | tokens", "jwksbot r1 2026-02-14T03:00:00Z | Validates | tokens"},
	} {
		if got := marked(c.before, "r1", at); got != c.after {
			t.Errorf("%q: %q, want %q", c.before, got, c.after)
		}
	}
	long := marked(strings.Repeat("é", 256), "r1", at)
	if n := len([]rune(long)); n != maxDescription || !strings.HasSuffix(long, "é…") || !markedBy(&long, "r1") || markedBy(&long, "r") || markedBy(nil, "r1") {
		t.Errorf("%d characters: %q", n, long)
	}
}

// newKill is the context of a process that dies when told so.
func newKill(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, kill := context.WithCancel(t.Context())
	t.Cleanup(kill)
	return ctx, kill
}

// Log events are dated by Lambda's clock, so that the end of an update is, too.
func TestUpdatedAtIsByLambdasClock(t *testing.T) {
	service, f := stage(t)
	plan := planOf(t, f, "")
	const slow = 7 * time.Second
	own := &virtual{now: service.clock.Now().Add(-slow)}
	f.clock = ticking{own, service.clock}
	got, err := f.Restart(t.Context(), plan, run, nil)
	if err != nil {
		t.Fatal(err)
	}
	if end := service.finishesAt; got.UpdatedAt.After(end) || got.UpdatedAt.Before(end.Add(-2*updateEvery)) {
		t.Errorf("updated at %v, finished at %v", got.UpdatedAt, end)
	}
}

// ticking is a clock that lets another one go on with it.
type ticking struct {
	*virtual
	other *virtual
}

func (c ticking) Wait(ctx context.Context, d time.Duration) error {
	_ = c.other.Wait(ctx, d) // the first answer is enough
	return c.virtual.Wait(ctx, d)
}

func TestRunNeedsAnID(t *testing.T) {
	service, f := stage(t)
	for _, id := range []string{"", "a b", "a|b"} {
		asError(t, second(f.Restart(t.Context(), planOf(t, f, ""), id, nil)), "not the id of a run")
	}
	if len(service.writes) > 0 {
		t.Errorf("wrote %q", service.writes)
	}
}
