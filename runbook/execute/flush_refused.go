package execute

import (
	"context"
	"fmt"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
)

// nothingDeleted is all that a flush says that was refused for certain.
const nothingDeleted = "nothing was deleted"

// flushRefused ends a flush that was refused for certain. Nobody is paged: the
// cache is as it was, and those in the thread are told why.
func (m *Machine) flushRefused(run runbook.Run, receipt runbook.Receipt, err error) runbook.Transition {
	receipt.Status, receipt.Finding = runbook.StatusFail, runbook.FoundRefused
	t := m.fail(run, &receipt, "%s", run.With(fmt.Sprintf("Not flushed: %s. %s", receipt.Summary, sentence(runbook.Capital(err.Error())))))
	t.Audit = append(t.Audit, approve.Audit(run, receipt.EndedAt, runbook.AuditSelf, "effect", "flush-cache: refused, "+receipt.Summary))
	return t
}

// standing says in a receipt of nothing deleted how the entries stand, where they
// can be read.
func (m *Machine) standing(ctx context.Context, t *check.Target, receipt runbook.Receipt, saved []runbook.Saved) runbook.Receipt {
	receipt.Summary = nothingDeleted
	fates, err := t.Entries.Compare(ctx, saved)
	if err != nil {
		return receipt
	}
	n := map[runbook.Fate]int{}
	for _, f := range fates {
		n[f.Fate]++
	}
	receipt.Proof = append(receipt.Proof, fmt.Sprintf("%d of %s as before, read back", n[runbook.FateLeft], runbook.Plural(len(saved), "entry is", "entries are")))
	if n[runbook.FateGone] > 0 {
		receipt.Proof = append(receipt.Proof, runbook.Plural(n[runbook.FateGone], "entry has", "entries have")+" gone in the meantime: expired, or deleted by somebody else")
	}
	return receipt
}
