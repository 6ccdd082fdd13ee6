package approve

import (
	"context"
	"slices"
	"strings"

	"jwksbot/runbook"
	"jwksbot/runbook/check"
)

// lostRight is somebody whose approval does not count any more.
type lostRight struct {
	by  runbook.PersonRef
	why string // what follows the name, without a full stop
}

// text says it in half a sentence.
func (f lostRight) text() string { return f.by.Label() + ", who approved it, " + f.why }

// LostRights are all of them.
type LostRights []lostRight

// Text says who may no longer do what, in one sentence.
func (l LostRights) Text() string {
	texts := make([]string, len(l))
	for i, f := range l {
		texts[i] = f.text()
	}
	return strings.Join(texts, "; ")
}

// Ids are the people whose approvals fell.
func (l LostRights) Ids() []string {
	ids := make([]string, len(l))
	for i, f := range l {
		ids[i] = f.by.ID
	}
	return ids
}

// Involved are the people on whom a run depends, and the user groups that tell
// what they may.
func Involved(t *check.Target, run runbook.Run) (people, groups []string) {
	people = []string{run.Requester.ID}
	groups = groupsFor(run.Requester.ID, t.Policy.Requesters)
	for _, a := range run.Approvals() {
		people = append(people, a.By.ID)
		groups = append(groups, groupsFor(a.By.ID, t.Policy.Approvers)...)
	}
	return people, groups
}

// StillRequests refuses a run whose requester lost the right to ask for it.
func (m *Membership) StillRequests(t *check.Target, by runbook.PersonRef, did string) error {
	p, err := m.person(by.ID)
	if err != nil {
		if r := AsRefusal(err); r != nil && r.Code == runbook.RefusedKind {
			return runbook.Refuse(runbook.RefusedKind, "%s, who %s, is no longer a full member of this workspace.", by.Label(), did)
		}
		return err
	}
	if ok, err := m.listed(p.ID, t.Policy.Requesters); err != nil || ok {
		return err
	}
	return runbook.Refuse(RefusedRight, "%s, who %s, may no longer request mitigations of %s.", by.Label(), did, t.Name)
}

// StillApprove are those whose approvals do not count any more.
func (m *Membership) StillApprove(t *check.Target, approvals []runbook.Decision) (lost LostRights, err error) {
	for _, a := range approvals {
		p, err := m.person(a.By.ID)
		if r := AsRefusal(err); r != nil && r.Code == runbook.RefusedKind {
			lost = append(lost, lostRight{a.By, "is no longer a full member of this workspace"})
			continue
		}
		if err != nil {
			return nil, err
		}
		ok, err := m.listed(p.ID, t.Policy.Approvers)
		if err != nil {
			return nil, err
		}
		if !ok {
			lost = append(lost, lostRight{a.By, "may no longer approve mitigations of " + t.Name})
		}
	}
	return lost, nil
}

// ByConfiguration says that the configuration alone lets somebody break the
// glass: from a terminal, while Slack cannot be asked, where the policy lists
// their own id, and Slack never said that they are no full member.
func (m *Membership) ByConfiguration(t *check.Target, id string, via runbook.Via, err error) bool {
	r := AsRefusal(err)
	if r == nil || r.Code != RefusedUnheard || via != runbook.ViaTerminal || !t.Policy.BreakGlass || !slices.Contains(t.Policy.Requesters, id) {
		return false
	}
	last := m.people[id].value
	m.alone = last.Kind == KindMember || last.Said.IsZero()
	return m.alone
}

// requester checks who asks, and says what the record has to tell of it.
func (s *Service) requester(ctx context.Context, t *check.Target, req Request) (Person, string, error) {
	if err := s.verifies(t); err != nil {
		return Person{}, "", err
	}
	h := LookUp(ctx, s.people, true, []string{req.By}, groupsFor(req.By, t.Policy.Requesters))
	p, err := h.person(req.By)
	if err == nil {
		err = h.allowed(p, t.Policy.Requesters, "request a mitigation of "+t.Name)
	}
	if err != nil && req.BreakGlass != "" && h.ByConfiguration(t, req.By, req.Via, err) {
		p, err = h.people[req.By].value, nil
	}
	if r := AsRefusal(err); r != nil && r.Code == RefusedUnheard && req.Via == runbook.ViaTerminal && t.Policy.BreakGlass {
		r.Text += " Without Slack, only those listed in approval.requesters by their own user ids can use break-glass."
	}
	return p, h.Note() + s.where(), err
}

// deciders checks whoever decides on a run, and for an approval everybody else
// on whom the run depends.
func (s *Service) deciders(ctx context.Context, t *check.Target, run runbook.Run, c Click) (p Person, lost LostRights, note string, err error) {
	if err := s.verifies(t); err != nil {
		return p, nil, "", err
	}
	var people, groups []string
	if c.Kind == runbook.DecideApprove {
		people, groups = Involved(t, run)
	}
	if c.Kind != runbook.DecideWithdraw {
		groups = append(groups, groupsFor(c.By, t.Policy.Approvers)...)
	}
	h := LookUp(ctx, s.people, true, append(people, c.By), groups)
	if p, err = h.person(c.By); err != nil {
		return p, nil, "", err
	}
	own := run.Requester.ID == c.By
	switch {
	case c.Kind == runbook.DecideWithdraw && !own:
		return p, nil, "", runbook.Refuse(RefusedRight, "Only the requester can withdraw this request. To stop it, deny it.")
	case c.Kind == runbook.DecideApprove && own && !t.Policy.SelfApproval:
		return p, nil, "", runbook.Refuse(RefusedOwn, "This is your own request: somebody else has to approve it.")
	}
	if c.Kind != runbook.DecideWithdraw {
		if err := h.allowed(p, t.Policy.Approvers, string(c.Kind)+" a mitigation of "+t.Name); err != nil {
			return p, nil, "", err
		}
	}
	if c.Kind == runbook.DecideApprove {
		if err := h.StillRequests(t, run.Requester, "requested it"); err != nil {
			return p, nil, "", err
		}
		if lost, err = h.StillApprove(t, run.Approvals()); err != nil {
			return p, nil, "", err
		}
	}
	return p, lost, h.Note() + s.where(), nil
}

// verifies refuses what a terminal has to find out by itself, where only serve
// may.
func (s *Service) verifies(t *check.Target) error {
	if s.verified == "" || !t.Policy.ServeOnly {
		return nil
	}
	return runbook.Refuse(RefusedLocal, "Nothing was done: on %s only `jwksbot serve` may find out who asks and who approves (approval.local: false), and none runs on this journal. Start it, or use Slack.", t.Name)
}

// where says in the record who found out who it was, if not serve.
func (s *Service) where() string {
	if s.verified == "" {
		return ""
	}
	return "; " + s.verified
}
