package runbook

import (
	"context"
	"slices"
	"strings"
	"time"
)

// fallen is somebody whose approval does not count any more.
type fallen struct {
	by  PersonRef
	why string // what follows the name, without a full stop
}

// text says it in half a sentence.
func (f fallen) text() string { return f.by.Label() + ", who approved it, " + f.why }

// losses are all of them.
type losses []fallen

// text says who may no longer do what, in one sentence.
func (l losses) text() string {
	texts := make([]string, len(l))
	for i, f := range l {
		texts[i] = f.text()
	}
	return strings.Join(texts, "; ")
}

// ids are the people whose approvals fell.
func (l losses) ids() []string {
	ids := make([]string, len(l))
	for i, f := range l {
		ids[i] = f.by.ID
	}
	return ids
}

// involved are the people on whom a run depends, and the user groups that tell
// what they may.
func involved(t *Target, run Run) (people, groups []string) {
	people = []string{run.Requester.ID}
	groups = groupsFor(run.Requester.ID, t.Policy.Requesters)
	for _, a := range run.Approvals() {
		people = append(people, a.By.ID)
		groups = append(groups, groupsFor(a.By.ID, t.Policy.Approvers)...)
	}
	return people, groups
}

// stillRequests refuses a run whose requester lost the right to ask for it.
func (h *hearing) stillRequests(t *Target, by PersonRef, did string) error {
	p, err := h.person(by.ID)
	if err != nil {
		if r := asRefusal(err); r != nil && r.Code == RefusedKind {
			return refuse(RefusedKind, "%s, who %s, is no full member of this workspace any more.", by.Label(), did)
		}
		return err
	}
	if ok, err := h.listed(p.ID, t.Policy.Requesters); err != nil || ok {
		return err
	}
	return refuse(RefusedRight, "%s, who %s, may not request mitigations of %s any more.", by.Label(), did, t.Name)
}

// stillApprove are those whose approvals do not count any more.
func (h *hearing) stillApprove(t *Target, approvals []Decision) (lost losses, err error) {
	for _, a := range approvals {
		p, err := h.person(a.By.ID)
		if r := asRefusal(err); r != nil && r.Code == RefusedKind {
			lost = append(lost, fallen{a.By, "is no full member of this workspace any more"})
			continue
		}
		if err != nil {
			return nil, err
		}
		ok, err := h.listed(p.ID, t.Policy.Approvers)
		if err != nil {
			return nil, err
		}
		if !ok {
			lost = append(lost, fallen{a.By, "may not approve mitigations of " + t.Name + " any more"})
		}
	}
	return lost, nil
}

// byConfiguration says that the configuration alone lets somebody break the
// glass: from a terminal, while Slack cannot be asked, where the policy lists
// their own id, and Slack never said that they are no full member.
func (h *hearing) byConfiguration(t *Target, id string, via Via, err error) bool {
	r := asRefusal(err)
	if r == nil || r.Code != RefusedUnheard || via != ViaTerminal || !t.Policy.BreakGlass || !slices.Contains(t.Policy.Requesters, id) {
		return false
	}
	last := h.people[id].value
	h.alone = last.Kind == KindMember || last.Said.IsZero()
	return h.alone
}

// requester checks who asks, and says what the record has to tell of it.
func (d *Desk) requester(ctx context.Context, t *Target, req Request) (Person, string, error) {
	if err := d.verifies(t); err != nil {
		return Person{}, "", err
	}
	h := hear(ctx, d.people, true, []string{req.By}, groupsFor(req.By, t.Policy.Requesters))
	p, err := h.person(req.By)
	if err == nil {
		err = h.allowed(p, t.Policy.Requesters, "request a mitigation of "+t.Name)
	}
	if err != nil && req.BreakGlass != "" && h.byConfiguration(t, req.By, req.Via, err) {
		p, err = h.people[req.By].value, nil
	}
	if r := asRefusal(err); r != nil && r.Code == RefusedUnheard && req.Via == ViaTerminal && t.Policy.BreakGlass {
		r.Text += " Without Slack only those can break the glass whom approval.requesters lists by their own user ids."
	}
	return p, h.note() + d.where(), err
}

// deciders checks whoever decides on a run, and for an approval everybody else
// on whom the run depends.
func (d *Desk) deciders(ctx context.Context, t *Target, run Run, c Click) (p Person, lost losses, note string, err error) {
	if err := d.verifies(t); err != nil {
		return p, nil, "", err
	}
	var people, groups []string
	if c.Kind == DecideApprove {
		people, groups = involved(t, run)
	}
	if c.Kind != DecideWithdraw {
		groups = append(groups, groupsFor(c.By, t.Policy.Approvers)...)
	}
	h := hear(ctx, d.people, true, append(people, c.By), groups)
	if p, err = h.person(c.By); err != nil {
		return p, nil, "", err
	}
	own := run.Requester.ID == c.By
	switch {
	case c.Kind == DecideWithdraw && !own:
		return p, nil, "", refuse(RefusedRight, "Only the requester can withdraw this request. To stop it, deny it.")
	case c.Kind == DecideApprove && own && !t.Policy.SelfApproval:
		return p, nil, "", refuse(RefusedOwn, "This is your own request: somebody else has to approve it.")
	}
	if c.Kind != DecideWithdraw {
		if err := h.allowed(p, t.Policy.Approvers, string(c.Kind)+" a mitigation of "+t.Name); err != nil {
			return p, nil, "", err
		}
	}
	if c.Kind == DecideApprove {
		if err := h.stillRequests(t, run.Requester, "requested it"); err != nil {
			return p, nil, "", err
		}
		if lost, err = h.stillApprove(t, run.Approvals()); err != nil {
			return p, nil, "", err
		}
	}
	return p, lost, h.note() + d.where(), nil
}

// verifies refuses what a terminal has to find out by itself, where only serve
// may.
func (d *Desk) verifies(t *Target) error {
	if d.verified == "" || !t.Policy.ServeOnly {
		return nil
	}
	return refuse(RefusedLocal, "Nothing was done: on %s only `jwksbot serve` may find out who asks and who approves (approval.local: false), and none runs on this journal. Start it, or use Slack.", t.Name)
}

// where says in the record who found out who it was, if not serve.
func (d *Desk) where() string {
	if d.verified == "" {
		return ""
	}
	return "; " + d.verified
}

// reopen lets the run wait for approvals again, since those of some people do
// not count any more. The others stand: the plan is the same.
func (r *Run) reopen(lost []string, why string, now time.Time) {
	kept := slices.DeleteFunc(r.Approvals(), func(a Decision) bool { return slices.Contains(lost, a.By.ID) })
	r.propose(r.Plan, why, now)
	for _, a := range kept {
		a.Generation = r.Generation
		r.Decisions = append(r.Decisions, a)
	}
}
