package execute

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
	"jwksbot/runbook/diagnose"
)

// Waiting for the first accepted token after the last mitigation. An execution
// environment may keep old keys for a few seconds more: one rejection just after
// a flush is no fault yet.
const (
	successWait  = 30 * time.Second
	successEvery = 5 * time.Second
)

// confirm looks whether it works again: the cache once more if steps came after
// its flush, one sign-in that is tried, and a success with a live kid in the
// logs. A sign-in that is rejected is a fault; the run goes on to the watch all
// the same, which calls people if the failures persist. It changes nothing.
func (m *Machine) confirm(ctx context.Context, t *check.Target, run runbook.Run) (runbook.Transition, error) {
	r := runbook.Receipt{Step: runbook.StepConfirm, Status: runbook.StatusOK, Proof: []string{}, StartedAt: m.clock.Now()}
	var said []string
	add := func(s runbook.Status, text string) {
		if worse(s, r.Status) {
			r.Status = s
		}
		said = append(said, text)
	}
	if run.Plan.Has(runbook.FlushCache) && (run.Plan.Restart != nil || run.Plan.Gateway != nil) {
		if err := m.lookAgain(ctx, t, run, &r, add); err != nil {
			return runbook.Transition{}, err
		}
	}
	if t.Canary != nil {
		m.tryCanary(ctx, t, &r, add)
	}
	if t.Successes != nil {
		if err := m.findSuccess(ctx, t, run, r.StartedAt, add); err != nil {
			return runbook.Transition{}, err
		}
	}
	if ctx.Err() != nil {
		return runbook.Transition{}, ctx.Err()
	}
	r.Summary, r.EndedAt = strings.Join(said, "; "), m.clock.Now()
	tr := m.onward(t, run, runbook.StateConfirm, r, runbook.Capital(r.Summary)+".")
	tr.Audit = []runbook.AuditEntry{approve.Audit(run, r.EndedAt, runbook.AuditSelf, "confirmed", r.Summary)}
	return tr, nil
}

// worse orders statuses: a fault is worse than a warning.
func worse(a, b runbook.Status) bool {
	order := []runbook.Status{runbook.StatusOK, runbook.StatusWarn, runbook.StatusFail}
	return slices.Index(order, a) > slices.Index(order, b)
}

// lookAgain reads the cache once more: an authoriser may have written its old
// copy after the flush and before its restart.
func (m *Machine) lookAgain(ctx context.Context, t *check.Target, run runbook.Run, r *runbook.Receipt, add func(runbook.Status, string)) error {
	saved, err := m.snaps.Sums(ctx, run.ID)
	if err != nil {
		return err
	}
	a, err := m.look(ctx, t, run, saved)
	if err != nil {
		return err
	}
	flushed, _ := run.FlushedAt()
	a.elapsed = m.clock.Now().Sub(flushed)
	again := a.receipt(run, len(saved))
	r.Proof, r.Finding = append(r.Proof, again.Proof...), again.Finding
	text := again.Summary
	if again.Status == runbook.StatusFail {
		text += ": flush again"
	}
	add(again.Status, text)
	return nil
}

// tryCanary signs in, and tries again for a while when it is rejected.
func (m *Machine) tryCanary(ctx context.Context, t *check.Target, r *runbook.Receipt, add func(runbook.Status, string)) {
	res, err := t.Canary.Try(ctx)
	for err == nil && rejected(res) && m.clock.Now().Sub(r.StartedAt) < successWait {
		if m.clock.Wait(ctx, successEvery) != nil {
			return // confirm sees it
		}
		res, err = t.Canary.Try(ctx)
	}
	switch {
	case err != nil:
		add(runbook.StatusWarn, fmt.Sprintf("a test sign-in could not be made: %v", err))
		return
	case res.Accepted:
		add(runbook.StatusOK, fmt.Sprintf("a test sign-in was accepted (HTTP %d)", res.Status))
	case rejected(res):
		if r.Finding == runbook.FoundNothing {
			r.Finding = runbook.FoundRejected
		}
		add(runbook.StatusFail, fmt.Sprintf("a test sign-in was rejected (HTTP %d), also when tried again for %s", res.Status, runbook.Duration(m.clock.Now().Sub(r.StartedAt))))
	default:
		add(runbook.StatusWarn, "a test sign-in told nothing: "+strings.TrimSuffix(res.Text, "."))
	}
	if res.Kid != "" {
		r.Proof = append(r.Proof, "the test sign-in used a token with kid "+runbook.Quote(res.Kid))
	}
}

// findSuccess waits a little, from begin on, for a token that the authoriser
// accepted after the last mitigation. None is no fault: perhaps nobody came.
func (m *Machine) findSuccess(ctx context.Context, t *check.Target, run runbook.Run, begin time.Time, add func(runbook.Status, string)) error {
	since := run.EffectAt()
	var live []string
	if set, ok := t.Reread(ctx).Live.Set(); ok {
		live = diagnose.KidsOf(set.Keys)
	}
	for {
		count, kids, atLeast, err := t.Successes.Successes(ctx, since, m.clock.Now())
		late := m.clock.Now().Sub(begin) >= successWait
		many := runbook.Plural(count, "accepted token", "accepted tokens")
		if atLeast {
			many = "at least " + many
		}
		switch {
		case err != nil && (late || ctx.Err() == nil):
			add(runbook.StatusWarn, fmt.Sprintf("accepted tokens could not be looked for in the authoriser log: %v", err))
			return ctx.Err()
		case count > 0 && common(kids, live) != "":
			add(runbook.StatusOK, fmt.Sprintf("the authoriser log shows %s since, signed with live key %s", many, runbook.Quote(common(kids, live))))
			return nil
		case count > 0 && (late || len(kids) == 0):
			add(runbook.StatusWarn, "the authoriser log shows "+many+" since, but no line names a live kid")
			return nil
		case late:
			add(runbook.StatusWarn, fmt.Sprintf("the authoriser log shows no accepted token within %s", runbook.Duration(m.clock.Now().Sub(since))))
			return nil
		}
		if err := m.clock.Wait(ctx, successEvery); err != nil {
			return err
		}
	}
}

// common is the first of a that is in b, "" if none is.
func common(a, b []string) string {
	for _, s := range a {
		if slices.Contains(b, s) {
			return s
		}
	}
	return ""
}

// rejected says that the protected URL turned the sign-in away, as opposed to
// being out of order itself.
func rejected(r runbook.CanaryResult) bool {
	return !r.Accepted && (r.Status == 401 || r.Status == 403)
}
