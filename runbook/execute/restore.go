package execute

import (
	"context"
	"fmt"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
)

// restore writes back what another run deleted, with what is left of each TTL,
// and reads it back. It may be repeated: what is there is not written again, and
// newer entries are overwritten only where that was approved, and only once.
func (m *Machine) restore(ctx context.Context, t *check.Target, run runbook.Run) (runbook.Transition, error) {
	begin := m.clock.Now()
	undo := run.Plan.Restore
	of, err := m.ledger.Run(ctx, undo.Of)
	if err != nil {
		return runbook.Transition{}, fmt.Errorf("the run to undo: %w", err)
	}
	saved, err := approve.Undoable(ctx, t, m.snaps, of)
	if err != nil {
		return runbook.Transition{}, err
	}
	saved = among(*undo, saved)
	lost := len(undo.Entries) - len(saved)
	if err := m.guard(ctx); err != nil {
		return runbook.Transition{}, err
	}
	already, err := m.begin(ctx, run, runbook.RestoreCache)
	if err != nil {
		return runbook.Transition{}, err
	}
	receipt := runbook.Receipt{Step: string(runbook.RestoreCache), Status: runbook.StatusOK, Proof: []string{}, StartedAt: begin}
	if len(saved) > 0 {
		if err := m.writeBack(ctx, t, run, saved, already, &receipt); err != nil {
			return runbook.Transition{}, err
		}
	}
	if lost > 0 {
		receipt.Status = runbook.StatusFail
		add(&receipt, "the copy of "+runbook.Plural(lost, "entry", "entries")+" is gone")
	}
	if undo.MoveBack != nil {
		if err := m.moveBack(ctx, t, of, &receipt); err != nil {
			return runbook.Transition{}, err
		}
	}
	receipt.EndedAt = m.clock.Now()
	tr := m.onward(t, run, runbook.StateRestore, receipt, "Undone: "+receipt.Summary+".")
	if receipt.Status == runbook.StatusFail {
		tr.Outcome = "The undo is not complete: " + receipt.Summary + "."
	}
	tr.Audit = []runbook.AuditEntry{approve.Audit(run, receipt.EndedAt, runbook.AuditSelf, "effect", receipt.Step+": "+receipt.Summary)}
	return tr, nil
}

// among are the saved entries that were approved, byte for byte.
func among(r runbook.RestorePlan, saved []runbook.Saved) []runbook.Saved {
	planned := map[string]bool{}
	for _, e := range r.Entries {
		planned[string(e.Name)+" "+e.Saved] = true
	}
	var out []runbook.Saved
	for _, s := range saved {
		if planned[s.Name+" "+s.Checksum()] {
			out = append(out, s)
		}
	}
	return out
}

// writeBack writes the entries and counts by reading them again.
func (m *Machine) writeBack(ctx context.Context, t *check.Target, run runbook.Run, saved []runbook.Saved, already bool, receipt *runbook.Receipt) error {
	force := run.Plan.Restore.Force
	if already && force {
		// Some were written before a crash: what is newer now came after them.
		left, err := remaining(ctx, t, saved)
		if err != nil {
			return err
		}
		force = left == 0
	}
	_, refused := t.Entries.Restore(ctx, saved, force, m.clock.Now())
	if err := refused; err != nil && !runbook.IsDenied(err) {
		return fmt.Errorf("write %s back: %w", runbook.Plural(len(saved), "entry", "entries"), err)
	}
	m.changed(run.Target)
	now, err := t.Entries.Compare(ctx, saved)
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	n := map[runbook.Fate]int{}
	for i, f := range now {
		if f.Fate == runbook.FateGone && saved[i].Expired(m.clock.Now()) {
			f.Fate = runbook.FateExpired
		}
		n[f.Fate]++
	}
	receipt.Summary = fmt.Sprintf("%d of %s back as they were", n[runbook.FateLeft], runbook.Plural(len(saved), "entry", "entries"))
	note := func(fate runbook.Fate, one, many string) {
		if n[fate] > 0 {
			receipt.Proof = append(receipt.Proof, runbook.Plural(n[fate], one, many))
		}
	}
	note(runbook.FateRewritten, "entry holds a newer value and was left alone", "entries hold newer values and were left alone")
	note(runbook.FateExpired, "entry would have expired in the meantime", "entries would have expired in the meantime")
	if n[runbook.FateGone] > 0 {
		receipt.Status = runbook.StatusFail
		note(runbook.FateGone, "entry is not there", "entries are not there")
	}
	if refused != nil {
		receipt.Status = runbook.StatusFail
		add(receipt, refused.Error())
	}
	return nil
}

// moveBack points the alias to the version from before the restart of the run
// that is undone.
func (m *Machine) moveBack(ctx context.Context, t *check.Target, of runbook.Run, receipt *runbook.Receipt) error {
	text, proof := "", []string(nil)
	if t.Function == nil {
		receipt.Status, text = runbook.StatusFail, "the alias was not moved back: the function is no longer configured"
	} else {
		result, err := t.Function.MoveBack(ctx, *of.Plan.Restart, of.ID)
		switch refusal := approve.AsRefusal(err); {
		case refusal != nil:
			receipt.Status, text = runbook.StatusFail, "the alias was not moved back: "+refusal.Text
		case runbook.IsDenied(err):
			receipt.Status, text = runbook.StatusFail, "the alias was not moved back: "+err.Error()
		case err != nil:
			return fmt.Errorf("move %s back: %w", of.Plan.Restart.Invoked(), err)
		default:
			text, proof = fmt.Sprintf("%s is version %s again", of.Plan.Restart.Invoked(), result.Version), result.Proof
		}
	}
	add(receipt, text)
	receipt.Proof = append(receipt.Proof, proof...)
	return nil
}

// add says one more thing in the summary.
func add(r *runbook.Receipt, text string) {
	if r.Summary != "" {
		text = r.Summary + "; " + text
	}
	r.Summary = text
}
