package runbook

import (
	"context"
	"fmt"
)

// restore writes back what another run deleted, with what is left of each TTL,
// and reads it back. It may be repeated: what is there is not written again, and
// newer entries are overwritten only where that was approved, and only once.
func (m *Machine) restore(ctx context.Context, t *Target, run Run) (Transition, error) {
	begin := m.clock.Now()
	undo := run.Plan.Restore
	of, err := m.ledger.Run(ctx, undo.Of)
	if err != nil {
		return Transition{}, fmt.Errorf("the run to undo: %w", err)
	}
	saved, err := t.undoable(ctx, m.snaps, of)
	if err != nil {
		return Transition{}, err
	}
	saved = undo.among(saved)
	lost := len(undo.Entries) - len(saved)
	if err := m.guard(ctx); err != nil {
		return Transition{}, err
	}
	already, err := m.begin(ctx, run, RestoreCache)
	if err != nil {
		return Transition{}, err
	}
	receipt := Receipt{Step: string(RestoreCache), Status: StatusOK, Proof: []string{}, StartedAt: begin}
	if len(saved) > 0 {
		if err := m.writeBack(ctx, t, run, saved, already, &receipt); err != nil {
			return Transition{}, err
		}
	}
	if lost > 0 {
		receipt.Status = StatusFail
		receipt.add("the copy of " + plural(lost, "entry", "entries") + " is gone")
	}
	if undo.MoveBack != nil {
		if err := m.moveBack(ctx, t, of, &receipt); err != nil {
			return Transition{}, err
		}
	}
	receipt.EndedAt = m.clock.Now()
	tr := m.onward(t, run, StateRestore, receipt, "Undone: "+receipt.Summary+".")
	if receipt.Status == StatusFail {
		tr.Outcome = "The undo is not complete: " + receipt.Summary + "."
	}
	tr.Audit = []AuditEntry{run.audit(receipt.EndedAt, AuditSelf, "effect", receipt.Step+": "+receipt.Summary)}
	return tr, nil
}

// among are the saved entries that were approved, byte for byte.
func (r RestorePlan) among(saved []Saved) []Saved {
	planned := map[string]bool{}
	for _, e := range r.Entries {
		planned[string(e.Name)+" "+e.Saved] = true
	}
	var out []Saved
	for _, s := range saved {
		if planned[s.Name+" "+s.sum()] {
			out = append(out, s)
		}
	}
	return out
}

// writeBack writes the entries and counts by reading them again.
func (m *Machine) writeBack(ctx context.Context, t *Target, run Run, saved []Saved, already bool, receipt *Receipt) error {
	force := run.Plan.Restore.Force
	if already && force {
		// Some were written before a crash: what is newer now came after them.
		left, err := t.remaining(ctx, saved)
		if err != nil {
			return err
		}
		force = left == 0
	}
	_, refused := t.Entries.Restore(ctx, saved, force, m.clock.Now())
	if err := refused; err != nil && !IsDenied(err) {
		return fmt.Errorf("write %s back: %w", plural(len(saved), "entry", "entries"), err)
	}
	m.changed(run.Target)
	now, err := t.Entries.Compare(ctx, saved)
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	n := map[Fate]int{}
	for i, f := range now {
		if f.Fate == FateGone && saved[i].expired(m.clock.Now()) {
			f.Fate = FateExpired
		}
		n[f.Fate]++
	}
	receipt.Summary = fmt.Sprintf("%d of %s back as they were", n[FateLeft], plural(len(saved), "entry", "entries"))
	note := func(fate Fate, one, many string) {
		if n[fate] > 0 {
			receipt.Proof = append(receipt.Proof, plural(n[fate], one, many))
		}
	}
	note(FateRewritten, "entry holds a newer value and was left alone", "entries hold newer values and were left alone")
	note(FateExpired, "entry would have expired meanwhile", "entries would have expired meanwhile")
	if n[FateGone] > 0 {
		receipt.Status = StatusFail
		note(FateGone, "entry is not there", "entries are not there")
	}
	if refused != nil {
		receipt.Status = StatusFail
		receipt.add(refused.Error())
	}
	return nil
}

// moveBack points the alias to the version from before the restart of the run
// that is undone.
func (m *Machine) moveBack(ctx context.Context, t *Target, of Run, receipt *Receipt) error {
	text, proof := "", []string(nil)
	if t.Function == nil {
		receipt.Status, text = StatusFail, "the alias was not moved back: the function is no longer configured"
	} else {
		result, err := t.Function.MoveBack(ctx, *of.Plan.Restart, of.ID)
		switch refusal := asRefusal(err); {
		case refusal != nil:
			receipt.Status, text = StatusFail, "the alias was not moved back: "+refusal.Text
		case IsDenied(err):
			receipt.Status, text = StatusFail, "the alias was not moved back: "+err.Error()
		case err != nil:
			return fmt.Errorf("move %s back: %w", of.Plan.Restart.invoked(), err)
		default:
			text, proof = fmt.Sprintf("%s is version %s again", of.Plan.Restart.invoked(), result.Version), result.Proof
		}
	}
	receipt.add(text)
	receipt.Proof = append(receipt.Proof, proof...)
	return nil
}

// add says one more thing in the summary.
func (r *Receipt) add(text string) {
	if r.Summary != "" {
		text = r.Summary + "; " + text
	}
	r.Summary = text
}
