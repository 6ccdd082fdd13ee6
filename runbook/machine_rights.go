package runbook

import (
	"context"
	"strings"
	"time"
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
func (m *Machine) allowed(ctx context.Context, t *Target, run Run) (instead Transition, ok bool, err error) {
	lost, _, err := m.rights(ctx, t, run)
	if err != nil {
		instead, err = m.refused(run, err)
		return instead, false, err
	}
	if len(lost) == 0 {
		return instead, true, nil
	}
	without := lost.ids()
	if !t.Policy.SelfApproval {
		without = append(without, run.Requester.ID)
	}
	n, err := hear(ctx, m.people, true, nil, groupsOf(t.Policy.Approvers)).possible(t.Policy.Approvers, without...)
	if err != nil {
		return instead, false, err
	}
	why := lost.text()
	if n < run.Required {
		return m.fail(run, nil, "Not started: %s. Nothing was touched.", why), false, nil
	}
	return Transition{From: run.State, To: StatePending, Fallen: lost.ids(), Changes: why,
		Audit: []AuditEntry{run.audit(m.clock.Now(), AuditSelf, "reopen", why)}}, false, nil
}

// clear looks at the rights once more right before the first effect, and keeps
// that it did: a run that may have changed something goes on to its end.
func (m *Machine) clear(ctx context.Context, t *Target, run Run) (instead Transition, ok bool, err error) {
	switch run.State {
	case StateFlush, StateRestart, StateGateway, StateRestore:
	default:
		return instead, true, nil
	}
	if m.people == nil || !run.Cleared.IsZero() || len(run.Begun) > 0 || !run.effectAt().IsZero() {
		return instead, true, nil
	}
	lost, heard, err := m.rights(ctx, t, run)
	if len(lost) > 0 {
		err = refuse(RefusedRight, "%s.", lost.text())
	}
	if err != nil {
		instead, err = m.refused(run, err)
		return instead, false, err
	}
	_, err = m.inState(ctx, run, func(r *Run) []AuditEntry {
		r.Cleared = m.clock.Now()
		if heard == "" {
			return nil
		}
		return []AuditEntry{r.audit(r.Cleared, AuditSelf, "rights", strings.TrimPrefix(heard, "; "))}
	})
	return instead, true, err
}

// rights asks whether everybody on whom the run depends still may. A directory
// that does not answer is waited for as long as the run may start.
func (m *Machine) rights(ctx context.Context, t *Target, run Run) (lost losses, heard string, err error) {
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
			return nil, "", refuse(RefusedUnheard, "for %s nobody could say whether its people still may (%s).", Duration(now.Sub(run.ApprovedAt)), Redact(err.Error()))
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
	r := asRefusal(err)
	return r == nil || r.Code == RefusedUnheard || r.Code == RefusedLimited || r.Code == RefusedLocal
}

func asText(err error) string {
	if r := asRefusal(err); r != nil {
		return r.Text
	}
	return Redact(err.Error())
}

func (m *Machine) askRights(ctx context.Context, t *Target, run Run) (lost losses, heard string, err error) {
	if m.people == nil {
		return nil, "", nil
	}
	if m.verified != "" && t.Policy.ServeOnly {
		return nil, "", refuse(RefusedLocal, "on %s only `jwksbot serve` may look (approval.local: false), and none runs on this journal.", t.Name)
	}
	people, groups := involved(t, run)
	h := hear(ctx, m.people, true, people, groups)
	if run.BreakGlass != "" {
		err = h.stillBreaks(t, run)
	} else if err = h.stillRequests(t, run.Requester, "requested it"); err == nil {
		lost, err = h.stillApprove(t, run.Approvals())
	}
	heard = h.note()
	if m.verified != "" {
		heard += "; " + m.verified
	}
	return lost, heard, err
}

// stillBreaks asks about somebody who acted alone.
func (h *hearing) stillBreaks(t *Target, run Run) error {
	by := run.Requester
	if !t.Policy.BreakGlass {
		return refuse(RefusedBreakGlass, "Target %s does not allow acting without an approval any more.", t.Name)
	}
	err := h.stillRequests(t, by, "broke the glass")
	if err != nil && h.byConfiguration(t, by.ID, run.Via, err) {
		return nil
	}
	return err
}
