package execute

import (
	"context"
	"strings"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
	"jwksbot/runbook/redact"
)

// freshness is how old an answer of the directory may be. Another process may
// have decided on a newer one.
const freshness = 5 * time.Second

// askAgain is how long the machine waits before it asks a directory that did
// not answer once more.
const askAgain = 2 * time.Second

// allowed says whether the run may start. Instead of that it ends when its
// requester may not request any more, and waits for approvals again when its
// approvers may not approve any more.
func (m *Machine) allowed(ctx context.Context, t *check.Target, run runbook.Run) (instead runbook.Transition, ok bool, err error) {
	lost, _, err := m.rights(ctx, t, run)
	if err != nil {
		instead, err = m.refused(run, err)
		return instead, false, err
	}
	if len(lost) == 0 {
		return instead, true, nil
	}
	without := lost.Ids()
	if !t.Policy.SelfApproval {
		without = append(without, run.Requester.ID)
	}
	n, err := approve.LookUp(ctx, m.people, true, nil, approve.GroupsOf(t.Policy.Approvers)).Possible(t.Policy.Approvers, without...)
	if err != nil {
		return instead, false, err
	}
	why := lost.Text()
	if n < run.Required {
		return m.fail(run, nil, "Not started: %s. Nothing was touched.", why), false, nil
	}
	return runbook.Transition{From: run.State, To: runbook.StatePending, Fallen: lost.Ids(), Changes: why,
		Audit: []runbook.AuditEntry{approve.Audit(run, m.clock.Now(), runbook.AuditSelf, "reopen", why)}}, false, nil
}

// clear looks at the rights once more right before the first effect, and keeps
// that it did: a run that may have changed something goes on to its end.
func (m *Machine) clear(ctx context.Context, t *check.Target, run runbook.Run) (instead runbook.Transition, ok bool, err error) {
	switch run.State {
	case runbook.StateFlush, runbook.StateRestart, runbook.StateGateway, runbook.StateRestore:
	default:
		return instead, true, nil
	}
	if m.people == nil || !run.Cleared.IsZero() || len(run.Begun) > 0 || !run.EffectAt().IsZero() {
		return instead, true, nil
	}
	lost, heard, err := m.rights(ctx, t, run)
	if len(lost) > 0 {
		err = runbook.Refuse(approve.RefusedRight, "%s.", lost.Text())
	}
	if err != nil {
		instead, err = m.refused(run, err)
		return instead, false, err
	}
	_, err = m.inState(ctx, run, func(r *runbook.Run) []runbook.AuditEntry {
		r.Cleared = m.clock.Now()
		if heard == "" {
			return nil
		}
		return []runbook.AuditEntry{approve.Audit(*r, r.Cleared, runbook.AuditSelf, "rights", strings.TrimPrefix(heard, "; "))}
	})
	return instead, true, err
}

// rights asks whether everybody on whom the run depends still may. A directory
// that does not answer is waited for as long as the run may start.
func (m *Machine) rights(ctx context.Context, t *check.Target, run runbook.Run) (lost approve.LostRights, heard string, err error) {
	for told, sure := false, false; ; told = true {
		lost, heard, err = m.askRights(ctx, t, run)
		if no := err != nil && !patience(err) || len(lost) > 0; no && !sure {
			sure = true
			if err := m.clock.Wait(ctx, freshness); err != nil {
				return nil, "", err
			}
			continue
		}
		if err == nil || !patience(err) || ctx.Err() != nil {
			return lost, heard, err
		}
		now := m.clock.Now()
		if !now.Before(run.StartBy) {
			return nil, "", runbook.Refuse(approve.RefusedUnheard, "for %s nobody could say whether its people still may (%s).", runbook.Duration(now.Sub(run.ApprovedAt)), redact.Text(err.Error()))
		}
		if !told {
			if err := m.tell(ctx, run, "waits to hear whether its people still may: "+asText(err)); err != nil {
				return nil, "", err
			}
		}
		if err := m.clock.Wait(ctx, min(askAgain, run.StartBy.Sub(now))); err != nil {
			return nil, "", err
		}
	}
}

// patience says that an error may pass by itself, or by what somebody mends.
func patience(err error) bool {
	r := approve.AsRefusal(err)
	return r == nil || r.Code == approve.RefusedUnheard || r.Code == approve.RefusedLimited || r.Code == approve.RefusedLocal
}

func asText(err error) string {
	if r := approve.AsRefusal(err); r != nil {
		return r.Text
	}
	return redact.Text(err.Error())
}

func (m *Machine) askRights(ctx context.Context, t *check.Target, run runbook.Run) (lost approve.LostRights, heard string, err error) {
	if m.people == nil {
		return nil, "", nil
	}
	if m.verified != "" && t.Policy.ServeOnly {
		return nil, "", runbook.Refuse(approve.RefusedLocal, "on %s only `jwksbot serve` may look (approval.local: false), and none runs on this journal.", t.Name)
	}
	people, groups := approve.Involved(t, run)
	h := approve.LookUp(ctx, m.people, true, people, groups)
	if run.BreakGlass != "" {
		err = stillBreaks(h, t, run)
	} else if err = h.StillRequests(t, run.Requester, "requested it"); err == nil {
		lost, err = h.StillApprove(t, run.Approvals())
	}
	heard = h.Note()
	if m.verified != "" {
		heard += "; " + m.verified
	}
	return lost, heard, err
}

// stillBreaks asks about somebody who acted alone.
func stillBreaks(h *approve.Membership, t *check.Target, run runbook.Run) error {
	by := run.Requester
	if !t.Policy.BreakGlass {
		return runbook.Refuse(approve.RefusedBreakGlass, "Target %s no longer allows acting without an approval.", t.Name)
	}
	err := h.StillRequests(t, by, "used break-glass")
	if err != nil && h.ByConfiguration(t, by.ID, run.Via, err) {
		return nil
	}
	return err
}
