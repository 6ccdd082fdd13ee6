package approve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"jwksbot/runbook"
)

// Membership is what the directory says of everybody that a decision depends on.
// All of it is asked for at once: a decision rests on one moment, and waits no
// longer than for one answer.
type Membership struct {
	people map[string]heard[Person]
	groups map[string]heard[Group]
	// said is when the oldest word was given that was used although the directory
	// could not be asked now; zero: there was none.
	said time.Time
	// alone says that the configuration decided by itself.
	alone bool
}

type heard[T any] struct {
	value T
	err   error
}

// LookUp asks about people and groups.
func LookUp(ctx context.Context, dir Directory, fresh bool, people, groups []string) *Membership {
	h := &Membership{people: map[string]heard[Person]{}, groups: map[string]heard[Group]{}}
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, id := range unique(people) {
		all.Go(func() {
			p, err := dir.Person(ctx, id)
			mu.Lock()
			defer mu.Unlock()
			h.people[id] = heard[Person]{p, err}
		})
	}
	for _, id := range unique(groups) {
		all.Go(func() {
			g, err := dir.Members(ctx, id, fresh)
			mu.Lock()
			defer mu.Unlock()
			h.groups[id] = heard[Group]{g, err}
		})
	}
	all.Wait()
	return h
}

func unique(ids []string) []string {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return slices.Compact(ids)
}

// GroupsOf are the user groups of a list.
func GroupsOf(list []string) (groups []string) {
	for _, id := range list {
		if IsGroup(id) {
			groups = append(groups, id)
		}
	}
	return groups
}

// groupsFor are the user groups that tell whether somebody is on a list: none
// where the list names them.
func groupsFor(id string, list []string) []string {
	if slices.Contains(list, id) {
		return nil
	}
	return GroupsOf(list)
}

// used notes that an answer was relied on.
func (m *Membership) used(said time.Time) {
	if !said.IsZero() && (m.said.IsZero() || said.Before(m.said)) {
		m.said = said
	}
}

// person is who somebody is; whoever is no full member is refused.
func (m *Membership) person(id string) (Person, error) {
	p := m.people[id]
	if p.err != nil {
		return p.value, asUnheard(fmt.Errorf("who is %q: %w", id, p.err))
	}
	m.used(p.value.Said)
	return p.value, admit(p.value)
}

// listed says whether somebody is on a list, by id or as a member of a group.
func (m *Membership) listed(id string, list []string) (bool, error) {
	if slices.Contains(list, id) {
		return true, nil
	}
	var unread error
	for _, group := range GroupsOf(list) {
		g := m.groups[group]
		switch {
		case g.err != nil:
			unread = errors.Join(unread, fmt.Errorf("members of user group %q: %w", group, g.err))
		case slices.Contains(g.value.Members, id):
			m.used(g.value.Said)
			return true, nil
		default:
			m.used(g.value.Said)
		}
	}
	return false, asUnheard(unread)
}

// Possible counts the different people on a list, without those who are left
// out.
func (m *Membership) Possible(list []string, without ...string) (int, error) {
	people := map[string]bool{}
	for _, entry := range list {
		if !IsGroup(entry) {
			people[entry] = true
			continue
		}
		g := m.groups[entry]
		if g.err != nil {
			return 0, asUnheard(fmt.Errorf("members of user group %q: %w", entry, g.err))
		}
		m.used(g.value.Said)
		for _, member := range g.value.Members {
			people[member] = true
		}
	}
	for _, id := range without {
		delete(people, id)
	}
	return len(people), nil
}

// allowed refuses whoever is not on a list.
func (m *Membership) allowed(p Person, list []string, what string) error {
	ok, err := m.listed(p.ID, list)
	switch {
	case err != nil:
		return err
	case ok:
		return nil
	case len(list) == 0:
		return runbook.Refuse(RefusedRight, "Nobody may %s: its list in the configuration is empty.", what)
	}
	if n, err := m.Possible(list); err == nil && n == 0 {
		return runbook.Refuse(RefusedRight, "Nobody may %s now: user group %s is empty. Add people to it, or name some in the configuration.", what, strings.Join(list, ", "))
	}
	no := runbook.Refuse(RefusedRight, "You may not %s.", what)
	no.People = list
	return no
}

// Note says in the record that what was heard is not fresh; "" if it is.
func (m *Membership) Note() string {
	switch {
	case m.alone:
		return "; rights by the configuration alone, Slack could not be asked"
	case m.said.IsZero():
		return ""
	}
	return "; rights as Slack said them at " + m.said.UTC().Format("15:04 MST") + ", Slack could not be asked"
}

// asUnheard turns an error of a directory that did not answer into the refusal
// that a person gets; any other error stays.
func asUnheard(err error) error {
	var quiet *silent
	var why *Unanswered
	switch {
	case errors.As(err, &quiet):
		return &unheardError{quiet.refusal(), err}
	case errors.As(err, &why) && why.Limited:
		return &unheardError{runbook.Refuse(RefusedLimited, "Slack was asked about rights and is limiting the bot, so nothing was done. Try again in %s.", runbook.Duration(max(why.After, time.Second))), err}
	case errors.As(err, &why):
		return &unheardError{(&silent{Unanswered: why}).refusal(), err}
	}
	return err
}

// unheardError is a refusal that keeps its cause for the log.
type unheardError struct {
	refusal *runbook.Refusal
	err     error
}

func (e *unheardError) Error() string { return e.err.Error() }

func (e *unheardError) Unwrap() []error { return []error{e.refusal, e.err} }

func (s *silent) refusal() *runbook.Refusal {
	advice := s.Advice
	if advice == "" {
		advice = "Try again when Slack answers."
	}
	if s.last.IsZero() {
		return runbook.Refuse(RefusedUnheard, "Nothing was done: only Slack can say who may do this, and it could not be asked. %s", advice)
	}
	return runbook.Refuse(RefusedUnheard, "Nothing was done: only Slack can say who may do this, it could not be asked, and what it said last, at %s, is older than %s. %s",
		s.last.UTC().Format("15:04 MST"), runbook.Duration(standsFor), advice)
}
