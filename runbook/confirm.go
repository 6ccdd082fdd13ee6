package runbook

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
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
func (m *Machine) confirm(ctx context.Context, t *Target, run Run) (Transition, error) {
	r := Receipt{Step: stepConfirm, Status: StatusOK, Proof: []string{}, StartedAt: m.clock.Now()}
	var said []string
	add := func(s Status, text string) {
		if worse(s, r.Status) {
			r.Status = s
		}
		said = append(said, text)
	}
	if run.Plan.Has(FlushCache) && (run.Plan.Restart != nil || run.Plan.Gateway != nil) {
		if err := m.lookAgain(ctx, t, run, &r, add); err != nil {
			return Transition{}, err
		}
	}
	if t.Canary != nil {
		m.tryCanary(ctx, t, &r, add)
	}
	if t.Successes != nil {
		if err := m.findSuccess(ctx, t, run, r.StartedAt, add); err != nil {
			return Transition{}, err
		}
	}
	if ctx.Err() != nil {
		return Transition{}, ctx.Err()
	}
	r.Summary, r.EndedAt = strings.Join(said, "; "), m.clock.Now()
	tr := m.onward(t, run, StateConfirm, r, capital(r.Summary)+".")
	tr.Audit = []AuditEntry{run.audit(r.EndedAt, AuditSelf, "confirmed", r.Summary)}
	return tr, nil
}

// worse orders statuses: a fault is worse than a warning.
func worse(a, b Status) bool {
	order := []Status{StatusOK, StatusWarn, StatusFail}
	return slices.Index(order, a) > slices.Index(order, b)
}

// lookAgain reads the cache once more: an authoriser may have written its old
// copy after the flush and before its restart.
func (m *Machine) lookAgain(ctx context.Context, t *Target, run Run, r *Receipt, add func(Status, string)) error {
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
	if again.Status == StatusFail {
		text += ": flush again"
	}
	add(again.Status, text)
	return nil
}

// tryCanary signs in, and tries again for a while when it is rejected.
func (m *Machine) tryCanary(ctx context.Context, t *Target, r *Receipt, add func(Status, string)) {
	res, err := t.Canary.Try(ctx)
	for err == nil && res.rejected() && m.clock.Now().Sub(r.StartedAt) < successWait {
		if m.clock.Wait(ctx, successEvery) != nil {
			return // confirm sees it
		}
		res, err = t.Canary.Try(ctx)
	}
	switch {
	case err != nil:
		add(StatusWarn, fmt.Sprintf("a test sign-in could not be made: %v", err))
		return
	case res.Accepted:
		add(StatusOK, fmt.Sprintf("a test sign-in was accepted (HTTP %d)", res.Status))
	case res.rejected():
		if r.Finding == FoundNothing {
			r.Finding = FoundRejected
		}
		add(StatusFail, fmt.Sprintf("a test sign-in was rejected (HTTP %d), also when tried again for %s", res.Status, Duration(m.clock.Now().Sub(r.StartedAt))))
	default:
		add(StatusWarn, "a test sign-in told nothing: "+strings.TrimSuffix(res.Text, "."))
	}
	if res.Kid != "" {
		r.Proof = append(r.Proof, "the test sign-in used a token with kid "+quote(res.Kid))
	}
}

// findSuccess waits a little, from begin on, for a token that the authoriser
// accepted after the last mitigation. None is no fault: perhaps nobody came.
func (m *Machine) findSuccess(ctx context.Context, t *Target, run Run, begin time.Time, add func(Status, string)) error {
	since := run.effectAt()
	var live []string
	if set, ok := t.reread(ctx).Live.Set(); ok {
		live = kidsOf(set.Keys)
	}
	for {
		count, kids, atLeast, err := t.Successes.Successes(ctx, since, m.clock.Now())
		late := m.clock.Now().Sub(begin) >= successWait
		many := plural(count, "accepted token", "accepted tokens")
		if atLeast {
			many = "at least " + many
		}
		switch {
		case err != nil && (late || ctx.Err() == nil):
			add(StatusWarn, fmt.Sprintf("accepted tokens could not be looked for in the authoriser log: %v", err))
			return ctx.Err()
		case count > 0 && common(kids, live) != "":
			add(StatusOK, fmt.Sprintf("the authoriser log shows %s since, signed with live key %s", many, quote(common(kids, live))))
			return nil
		case count > 0 && (late || len(kids) == 0):
			add(StatusWarn, "the authoriser log shows "+many+" since, but no line names a live kid")
			return nil
		case late:
			add(StatusWarn, fmt.Sprintf("the authoriser log shows no accepted token within %s", Duration(m.clock.Now().Sub(since))))
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
func (r CanaryResult) rejected() bool {
	return !r.Accepted && (r.Status == 401 || r.Status == 403)
}
