package runbook

import (
	"context"
	"fmt"
)

// nothingDeleted is all that a flush says that was refused for certain.
const nothingDeleted = "nothing was deleted"

// flushRefused ends a flush that was refused for certain. Nobody is paged: the
// cache is as it was, and those in the thread are told why.
func (m *Machine) flushRefused(run Run, receipt Receipt, err error) Transition {
	receipt.Status, receipt.Finding = StatusFail, FoundRefused
	t := m.fail(run, &receipt, "%s", run.with(fmt.Sprintf("Not flushed: %s. %s", receipt.Summary, sentence(capital(err.Error())))))
	t.Audit = append(t.Audit, run.audit(receipt.EndedAt, AuditSelf, "effect", "flush-cache: refused, "+receipt.Summary))
	return t
}

// standing says in a receipt of nothing deleted how the entries stand, where they
// can be read.
func (m *Machine) standing(ctx context.Context, t *Target, receipt Receipt, saved []Saved) Receipt {
	receipt.Summary = nothingDeleted
	fates, err := t.Entries.Compare(ctx, saved)
	if err != nil {
		return receipt
	}
	n := map[Fate]int{}
	for _, f := range fates {
		n[f.Fate]++
	}
	receipt.Proof = append(receipt.Proof, fmt.Sprintf("%d of %s as before, read back", n[FateLeft], plural(len(saved), "entry is", "entries are")))
	if n[FateGone] > 0 {
		receipt.Proof = append(receipt.Proof, plural(n[FateGone], "entry has", "entries have")+" gone meanwhile: expired, or deleted by somebody else")
	}
	return receipt
}
