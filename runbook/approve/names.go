package approve

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"jwksbot/runbook"
	"jwksbot/runbook/check"
	"jwksbot/runbook/redact"
)

// The name of a target is told to full members who may see or ask for it. To
// everybody else, and to somebody of whom nobody could say who they are, a
// refusal names only what they typed themselves.

// Visible lists the targets whose checks somebody may see, in their order. For
// somebody who may see none the error says why.
func (s *Service) Visible(ctx context.Context, by string) ([]*check.Target, error) {
	return s.openTo(ctx, by, "see the checks of", func(p runbook.Policy) ([]string, bool) { return p.Viewers, len(p.Viewers) == 0 })
}

// ViewAll is Visible for somebody who asked for all of them: a refusal is on
// record.
func (s *Service) ViewAll(ctx context.Context, by string) ([]*check.Target, error) {
	all, err := s.Visible(ctx, by)
	if err != nil {
		return nil, s.noteRefusal(ctx, "view", by, "", err)
	}
	return all, nil
}

// Requestable lists the targets that somebody may ask a mitigation for. A
// refusal is on record.
func (s *Service) Requestable(ctx context.Context, by string) ([]*check.Target, error) {
	all, err := s.openTo(ctx, by, "request a mitigation of", func(p runbook.Policy) ([]string, bool) { return p.Requesters, false })
	if err != nil {
		return nil, s.noteRefusal(ctx, "request", by, "", err)
	}
	return all, nil
}

// openTo lists the targets on whose list somebody is. list returns that list, and
// whether it stands for every full member.
func (s *Service) openTo(ctx context.Context, by, what string, list func(runbook.Policy) (ids []string, all bool)) ([]*check.Target, error) {
	var groups []string
	for _, name := range s.order {
		ids, _ := list(s.targets[name].Policy)
		groups = append(groups, groupsFor(by, ids)...)
	}
	h := LookUp(ctx, s.people, false, []string{by}, groups)
	p, err := h.person(by)
	if err != nil {
		return nil, err
	}
	var out []*check.Target
	for _, name := range s.order {
		t := s.targets[name]
		ids, ok := list(t.Policy)
		if !ok {
			if ok, err = h.listed(p.ID, ids); err != nil {
				return nil, err
			}
		}
		if ok {
			out = append(out, t)
		}
	}
	if len(out) == 0 && len(s.order) == 1 {
		only := s.targets[s.order[0]]
		ids, _ := list(only.Policy)
		return nil, h.allowed(p, ids, what+" "+only.Name)
	}
	if len(out) == 0 {
		return nil, runbook.Refuse(RefusedRight, "You may not %s any target.", what)
	}
	return out, nil
}

// named finds the target that somebody means, and whether they are admitted at
// all: names are for full members only.
func (s *Service) named(ctx context.Context, name string, p Person) (*check.Target, error) {
	t, err := s.Target(name)
	var unknown *runbook.Refusal
	if err == nil || !errors.As(err, &unknown) {
		return t, err
	}
	seen, err := s.Visible(ctx, p.ID)
	if err != nil && !errors.As(err, new(*runbook.Refusal)) {
		return nil, err
	}
	return nil, NoTarget(name, Names(seen))
}

// Names are the names of targets.
func Names(targets []*check.Target) []string {
	names := make([]string, len(targets))
	for i, t := range targets {
		names[i] = t.Name
	}
	return names
}

// namesTold is how many names a refusal lists.
const namesTold = 25

// NoTarget refuses a name that is no target's, or the lack of one where there
// are several. names are those that the person may learn.
func NoTarget(name string, names []string) *runbook.Refusal {
	list := strings.Join(names[:min(len(names), namesTold)], ", ")
	if more := len(names) - namesTold; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	switch {
	case name == "" && list == "":
		return runbook.Refuse(RefusedTarget, "Which target? Name one.")
	case name == "":
		return runbook.Refuse(RefusedTarget, "Which target? One of: %s.", list)
	case list == "":
		return runbook.Refuse(RefusedTarget, "There is no target %q.", redact.Text(name))
	}
	return runbook.Refuse(RefusedTarget, "There is no target %q. You can name: %s.", redact.Text(name), list)
}
