package execute

import (
	"context"
	"fmt"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
)

// Waiting for proof of a restart: the first request after it starts a new
// execution environment, which opens a log stream.
const (
	streamsWait  = time.Minute
	streamsEvery = 5 * time.Second
)

// restart gives the authoriser new execution environments. It may be repeated:
// the function recognises what the run has done already.
func (m *Machine) restart(ctx context.Context, t *check.Target, run runbook.Run) (runbook.Transition, error) {
	begin := m.clock.Now()
	if t.Function == nil || run.Plan.Restart == nil {
		return m.notDone(t, run, runbook.RestartAuthoriser, begin, "the function is no longer configured"), nil
	}
	if err := m.guard(ctx); err != nil {
		return runbook.Transition{}, err
	}
	result, err := t.Function.Restart(ctx, *run.Plan.Restart, run.ID, func(text string) {
		m.tell(context.WithoutCancel(ctx), run, text) // what is shown is no condition
	})
	if refusal := approve.AsRefusal(err); refusal != nil {
		return m.notDone(t, run, runbook.RestartAuthoriser, begin, refusal.Text), nil
	}
	if runbook.IsDenied(err) { // how far it came is in the text
		return m.stopped(t, run, runbook.RestartAuthoriser, begin, runbook.Receipt{Summary: err.Error()}), nil
	}
	if err != nil {
		return runbook.Transition{}, fmt.Errorf("restart of %s: %w", run.Plan.Restart.Invoked(), err)
	}
	m.changed(run.Target)
	receipt := runbook.Receipt{Step: string(runbook.RestartAuthoriser), Status: runbook.StatusOK, Proof: check.NonNil(result.Proof), StartedAt: begin}
	if err := m.proveRestart(ctx, t, run, result, &receipt); err != nil {
		return runbook.Transition{}, err
	}
	receipt.EndedAt = m.clock.Now()
	tr := m.onward(t, run, runbook.StateRestart, receipt, "The authoriser was restarted: "+receipt.Summary+".")
	tr.Restart = &result
	tr.Audit = []runbook.AuditEntry{approve.Audit(run, receipt.EndedAt, runbook.AuditSelf, "effect", receipt.Step+": "+receipt.Summary)}
	return tr, nil
}

// proveRestart waits for log streams of new execution environments.
func (m *Machine) proveRestart(ctx context.Context, t *check.Target, run runbook.Run, result runbook.RestartResult, receipt *runbook.Receipt) error {
	what := run.Plan.Restart.Invoked()
	if result.Version != "" && result.Version != result.Previous {
		what += fmt.Sprintf(" (version %s instead of %s)", result.Version, result.Previous)
	}
	unproven := func(why string) {
		receipt.Status, receipt.Finding = runbook.StatusWarn, runbook.FoundUnproven
		receipt.Summary = what + " was renewed, unproven: " + why
	}
	if t.Streams == nil {
		unproven("accepted, but without a log group nobody can see new execution environments")
		return nil
	}
	for begin := m.clock.Now(); ; {
		s, err := t.Streams.Streams(ctx, result.UpdatedAt)
		late := m.clock.Now().Sub(begin) >= streamsWait
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && s.New > 0:
			receipt.Summary = fmt.Sprintf("%s runs in new execution environments (%s)", what, runbook.Plural(s.New, "new log stream", "new log streams"))
			if s.Old > 0 {
				receipt.Proof = append(receipt.Proof, runbook.Plural(s.Old, "old log stream was", "old log streams were")+" still written to after the update: requests that were under way")
			}
			return nil
		case err != nil && late:
			unproven(fmt.Sprintf("accepted, but the log streams cannot be read: %v", err))
			return nil
		case late && s.Old > 0:
			unproven("accepted, but old execution environments go on and no new one has logged")
			receipt.Proof = append(receipt.Proof, "what to do: check that the gateway invokes "+run.Plan.Restart.Invoked()+", then restart again")
			return nil
		case late:
			unproven("accepted, but no new execution environment has logged yet")
			receipt.Proof = append(receipt.Proof, "what to do: send a request through the gateway and check again; the first one starts a new environment")
			return nil
		}
		if err := m.tell(ctx, run, "waits for the first log stream of a new execution environment"); err != nil {
			return err
		}
		if err := m.clock.Wait(ctx, streamsEvery); err != nil {
			return err
		}
	}
}

// notDone records a step that was refused without any write. The first step of
// a run ends it; after others the run goes on, and ends as failed.
func (m *Machine) notDone(t *check.Target, run runbook.Run, step runbook.Mitigation, begin time.Time, why string) runbook.Transition {
	return m.stopped(t, run, step, begin, runbook.Receipt{Summary: why, Finding: runbook.FoundRefused})
}

// stopped records a step that could not be carried out, and why.
func (m *Machine) stopped(t *check.Target, run runbook.Run, step runbook.Mitigation, begin time.Time, receipt runbook.Receipt) runbook.Transition {
	why := sentence(receipt.Summary)
	receipt.Summary = "not done: " + receipt.Summary
	receipt.Step, receipt.Status, receipt.Proof, receipt.StartedAt, receipt.EndedAt = string(step), runbook.StatusFail, []string{}, begin, m.clock.Now()
	switch {
	case !run.EffectAt().IsZero():
		return m.onward(t, run, run.State, receipt, fmt.Sprintf("The step %s was not done: %s", step, why))
	case receipt.Finding == runbook.FoundRefused:
		return m.fail(run, &receipt, "Not done: %s Nothing was touched.", why)
	}
	return m.fail(run, &receipt, "Not done: %s", why)
}

// sentence ends a text with a full stop.
func sentence(s string) string {
	if n := len(s); n > 0 && (s[n-1] == '.' || s[n-1] == '!' || s[n-1] == '?') {
		return s
	}
	return s + "."
}

// gateway empties the result cache of the gateway's authoriser. Repeating it is
// harmless.
func (m *Machine) gateway(ctx context.Context, t *check.Target, run runbook.Run) (runbook.Transition, error) {
	begin := m.clock.Now()
	if t.API == nil || run.Plan.Gateway == nil {
		return m.notDone(t, run, runbook.FlushGateway, begin, "the gateway is no longer configured"), nil
	}
	if err := m.guard(ctx); err != nil {
		return runbook.Transition{}, err
	}
	err := t.API.FlushResults(ctx)
	if refusal := approve.AsRefusal(err); refusal != nil {
		return m.notDone(t, run, runbook.FlushGateway, begin, refusal.Text), nil
	}
	if runbook.IsDenied(err) {
		return m.notDone(t, run, runbook.FlushGateway, begin, err.Error()), nil
	}
	if err != nil {
		return runbook.Transition{}, fmt.Errorf("empty the %s: %w", run.Plan.Gateway.Resource(), err)
	}
	m.changed(run.Target)
	g := run.Plan.Gateway
	receipt := runbook.Receipt{Step: string(runbook.FlushGateway), Status: runbook.StatusOK, StartedAt: begin, EndedAt: m.clock.Now(), Proof: []string{
		fmt.Sprintf("without it, results would have been repeated for up to %s", runbook.Duration(g.TTL))},
		Summary: fmt.Sprintf("API Gateway accepted the request to empty the result cache of %s; the effect cannot be read back", g.Name())}
	tr := m.onward(t, run, runbook.StateGateway, receipt, receipt.Summary+".")
	tr.Audit = []runbook.AuditEntry{approve.Audit(run, receipt.EndedAt, runbook.AuditSelf, "effect", receipt.Step+": "+receipt.Summary)}
	return tr, nil
}
